package routes

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"example.com/sse-demo/sse"
)

// The streams, as they are named in paths, metrics and logs.
const (
	tickStream     = "tick"
	logStream      = "log"
	progressStream = "progress"
	channelStream  = "channel"
)

// Why a stream ended.
const (
	endClient   = string(sse.ClientGone)
	endStalled  = string(sse.ClientStalled)
	endShutdown = string(sse.ShutdownReached)
	endDone     = string(sse.SourceDone)
	endFailed   = string(sse.SourceFailed)
	endExpired  = "expired" // the client's token has expired
	endAged     = "aged"    // the stream has reached the maximum age
)

var endings = []string{endClient, endStalled, endShutdown, endDone, endFailed, endExpired, endAged}

// metrics counts what the streams do. What /health and /metrics say of
// connections is the same number.
type metrics struct {
	registry  *prometheus.Registry
	streams   map[string]*streamMetrics
	published prometheus.Counter
	panics    atomic.Int64 // of handlers and sources
}

// streamMetrics counts what one of the streams does.
type streamMetrics struct {
	name                        string
	open                        atomic.Int64
	opened, events, bytes, gaps prometheus.Counter
	closed                      map[string]prometheus.Counter // by reason
}

func newMetrics(config *Config, streamNames []string) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), streams: map[string]*streamMetrics{}}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.registry.MustRegister(config.Collectors...)
	counter := func(name, help string, labels prometheus.Labels) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels})
		m.registry.MustRegister(c)
		return c
	}
	m.published = counter("sse_published_total", "Events that were published.", nil)
	m.registry.MustRegister(prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Name: "sse_connections_limit", Help: "Streams that may be open at once."},
		func() float64 { return float64(config.MaxStreams) },
	))
	m.registry.MustRegister(prometheus.NewCounterFunc(
		prometheus.CounterOpts{Name: "sse_panics_total", Help: "Handlers, streams and jobs that panicked."},
		func() float64 { return float64(m.panics.Load() + config.Jobs.Panics()) },
	))
	m.registry.MustRegister(prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Name: "sse_broker_up", Help: "1 if events can be published, 0 while they cannot."},
		func() float64 {
			if brokerErr(config.Broker) != nil {
				return 0
			}
			return 1
		},
	))
	for _, name := range streamNames {
		labels := prometheus.Labels{"stream": name}
		stream := &streamMetrics{
			name:   name,
			opened: counter("sse_connections_opened_total", "Streams that were opened.", labels),
			events: counter("sse_events_sent_total", "Events that were sent, gap events included.", labels),
			bytes:  counter("sse_bytes_sent_total", "Bytes that were sent, without the framing of HTTP.", labels),
			gaps:   counter("sse_gaps_total", "Gap events that were sent.", labels),
			closed: map[string]prometheus.Counter{},
		}
		for _, reason := range endings {
			stream.closed[reason] = counter("sse_connections_closed_total", "Streams that have ended, by reason.",
				prometheus.Labels{"stream": name, "reason": reason})
		}
		m.registry.MustRegister(prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{Name: "sse_connections", Help: "Open streams.", ConstLabels: labels},
			func() float64 { return float64(stream.open.Load()) },
		))
		m.streams[name] = stream
	}
	return m
}
