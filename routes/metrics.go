package routes

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"example.com/sse-demo/sse"
)

// The streams, as they are named in paths, metrics and logs.
const (
	tickStream     = "tick"
	logStream      = "log"
	progressStream = "progress"
	channelStream  = "channel"
)

// Why a stream is ended by its deadline; any other reason is an [sse.Reason].
const (
	endExpired = "expired" // the client's token has expired
	endAged    = "aged"    // the stream has reached the maximum age
)

var endings = []string{
	string(sse.ClientGone), string(sse.ClientStalled), string(sse.ShutdownReached), string(sse.SourceDone), string(sse.SourceFailed),
	endExpired, endAged,
}

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
	closed                      *prometheus.CounterVec // by reason
}

func newMetrics(config *Config) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), streams: map[string]*streamMetrics{}}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.registry.MustRegister(config.Collectors...)
	add := promauto.With(m.registry)
	m.published = add.NewCounter(prometheus.CounterOpts{Name: "sse_published_total", Help: "Events that were published."})
	add.NewGauge(prometheus.GaugeOpts{Name: "sse_connections_limit", Help: "Streams that may be open at once."}).Set(float64(config.MaxStreams))
	add.NewCounterFunc(
		prometheus.CounterOpts{Name: "sse_panics_total", Help: "Handlers, streams and jobs that panicked."},
		func() float64 { return float64(m.panics.Load() + config.Jobs.Panics()) },
	)
	add.NewGaugeFunc(
		prometheus.GaugeOpts{Name: "sse_broker_up", Help: "1 if events can be published, 0 while they cannot."},
		func() float64 {
			if brokerErr(config.Broker) != nil {
				return 0
			}
			return 1
		},
	)
	return m
}

// addStream adds the metrics of a stream.
func (m *metrics) addStream(name string) {
	add := promauto.With(prometheus.WrapRegistererWith(prometheus.Labels{"stream": name}, m.registry))
	stream := &streamMetrics{
		name:   name,
		opened: add.NewCounter(prometheus.CounterOpts{Name: "sse_connections_opened_total", Help: "Streams that were opened."}),
		events: add.NewCounter(prometheus.CounterOpts{Name: "sse_events_sent_total", Help: "Events that were sent, gap events included."}),
		bytes:  add.NewCounter(prometheus.CounterOpts{Name: "sse_bytes_sent_total", Help: "Bytes that were sent, without the framing of HTTP."}),
		gaps:   add.NewCounter(prometheus.CounterOpts{Name: "sse_gaps_total", Help: "Gap events that were sent."}),
		closed: add.NewCounterVec(
			prometheus.CounterOpts{Name: "sse_connections_closed_total", Help: "Streams that have ended, by reason."}, []string{"reason"},
		),
	}
	for _, reason := range endings { // a counter that is there from the beginning has a rate from its first event
		stream.closed.WithLabelValues(reason)
	}
	add.NewGaugeFunc(
		prometheus.GaugeOpts{Name: "sse_connections", Help: "Open streams."},
		func() float64 { return float64(stream.open.Load()) },
	)
	m.streams[name] = stream
}
