package main

// A scenario is what is done to a server, and the table of what was measured.
type scenario struct {
	name     string
	text     string // what happens, and what the columns count
	peers    []string
	over     transport
	replicas bool // with Redis; it starts its servers itself
	odd      bool // only in every other round: it takes long, or varies little
	run      func(*run) error
	columns  []column
}

// A column is one value of all rounds: median, and range if it has one.
type column struct {
	head, value, format string
	kind                kind
}

type kind int

const (
	spread  kind = iota
	median       // the median alone
	toFloor      // its ratio to the same value of the floor in the same round
	worst        // the largest
)

var (
	all      = []string{"floor", "sse-demo", "sse.Serve", "nchan", "go-sse", "r3labs", "echo-textbook", "mercure", "centrifuge"}
	main6    = []string{"floor", "sse-demo", "sse.Serve", "nchan", "go-sse", "echo-textbook"}
	speakTLS = []string{"sse-demo", "nchan", "echo-textbook", "go-sse", "mercure"}
	shared   = []string{"sse-demo", "centrifuge", "nchan"}

	delivery = []column{
		{"CPU, µs", "cpu", "%.1f", spread},
		{"× floor", "cpu", "%.2f", toFloor},
		{"p50, ms", "latency p50", "%.1f", spread},
		{"p99, ms", "latency p99", "%.1f", spread},
		{"publish p50, ms", "publish p50", "%.2f", median},
		{"publish p99, ms", "publish p99", "%.2f", spread},
	}
	burstDelivery = []column{
		{"CPU, µs", "cpu", "%.2f", spread},
		{"× floor", "cpu", "%.2f", toFloor},
		{"deliveries/s", "rate", "%.0f", spread},
		{"p99, ms", "latency p99", "%.1f", spread},
		{"publish p99, ms", "publish p99", "%.2f", spread},
		{"lost, %", "lost", "%.0f", worst},
	}
	memoryAndDelivery = append([]column{{"idle, kB", "rss", "%.1f", spread}}, withoutRatio(delivery)...)
)

func withoutRatio(columns []column) (kept []column) {
	for _, c := range columns {
		if c.kind != toFloor {
			kept = append(kept, c)
		}
	}
	return kept
}

var scenarios = []scenario{
	{
		name: "paced", run: paced, peers: all, columns: delivery,
		text: "1,000 subscribers, 50 messages a second.",
	},
	{
		name: "burst", run: burst, peers: main6, columns: burstDelivery,
		text: "500 subscribers; 8 publishers, each of which sends its next message when the last was answered.",
	},
	{
		name: "idle", run: idle, peers: all[1:],
		text:    "8,000 subscribers, and nothing is published. Memory of the server (PSS) for one of them.",
		columns: []column{{"kB", "rss", "%.1f", spread}},
	},
	{
		name: "churn", run: churn, peers: main6,
		text: "50 clients connect, wait for one message and leave, over and over.",
		columns: []column{
			{"CPU, µs", "cpu", "%.1f", spread},
			{"× floor", "cpu", "%.2f", toFloor},
			{"a second", "cycles", "%.0f", median},
			{"sockets left after 2 s", "left", "%.0f", worst},
		},
	},
	{
		name: "publish", run: publish, peers: []string{"floor", "sse-demo", "sse.Serve", "data-file", "nchan", "echo-textbook"},
		text: "No subscribers; one publisher, and then eight, each of which sends its next message when the last was answered.",
		columns: []column{
			{"one: a second", "1 publish rate", "%.0f", spread},
			{"CPU, µs", "1 cpu", "%.0f", median},
			{"p50, ms", "1 publish p50", "%.3f", median},
			{"p99, ms", "1 publish p99", "%.3f", median},
			{"eight: a second", "8 publish rate", "%.0f", spread},
			{"CPU, µs", "8 cpu", "%.0f", median},
			{"p50, ms", "8 publish p50", "%.3f", median},
			{"p99, ms", "8 publish p99", "%.3f", median},
		},
	},
	{
		name: "data-file", run: paced, peers: []string{"sse-demo", "data-file"}, columns: withoutRatio(delivery), odd: true,
		text: "As paced, without and with `--data-file`.",
	},
	{
		name: "tls", run: idleAndPaced, peers: speakTLS, columns: memoryAndDelivery, over: transport{tls: true},
		text: "1,000 subscribers over TLS and HTTP/1.1: idle, and then 50 messages a second. The floor and r3labs have no TLS here, and centrifuge is left out.",
	},
	{
		name: "h2", run: idleAndPaced, peers: speakTLS, columns: memoryAndDelivery, over: transport{tls: true, http2: true, streams: 100},
		text: "As tls, over HTTP/2 with 100 streams a connection.",
	},
	{
		name: "h2-alone", run: idleAndPaced, peers: speakTLS[:3], columns: memoryAndDelivery, over: transport{tls: true, http2: true, streams: 1}, odd: true,
		text: "As tls, over HTTP/2 with one stream a connection.",
	},
	{
		name: "h2c", run: idleAndPaced, peers: []string{"sse-demo", "echo-textbook", "go-sse"}, columns: memoryAndDelivery,
		over: transport{http2: true, streams: 100}, odd: true,
		text: "As h2, without TLS (prior knowledge). nginx 1.22 cannot have HTTP/2 without TLS and HTTP/1.1 on one port.",
	},
	{
		name: "slow", run: slow, peers: []string{"sse-demo", "sse.Serve", "nchan", "go-sse", "centrifuge"}, odd: true,
		text: "500 subscribers, 25 messages of 2,000 bytes a second: alone, and then beside 1,000 more that read 1,000 bytes a second. All but the memory is of the 500.",
		columns: []column{
			{"alone: CPU, µs", "alone cpu", "%.1f", spread},
			{"p99, ms", "alone latency p99", "%.1f", spread},
			{"publish p99, ms", "alone publish p99", "%.2f", spread},
			{"beside slow: CPU, µs", "cpu", "%.1f", spread},
			{"p99, ms", "latency p99", "%.1f", spread},
			{"publish p99, ms", "publish p99", "%.2f", spread},
			{"kB a slow one", "rss", "%.1f", spread},
			{"and in the kernel", "kernel", "%.0f", spread},
		},
	},
	{
		name: "channels", run: channels, peers: []string{"sse-demo", "sse.Serve", "nchan", "go-sse", "echo-textbook"}, columns: memoryAndDelivery, odd: true,
		text: "5,000 subscribers, each of its own channel; 2,000 messages a second, each for one of them. CPU is of a publication and its delivery. The floor has no channels.",
	},
	{
		name: "many", run: many, peers: []string{"sse-demo", "sse.Serve", "nchan"}, odd: true,
		text:    "50,000 subscribers, or as many as file descriptors allow; one message a second.",
		columns: append([]column{{"streams", "streams", "%.0f", median}}, memoryAndDelivery...),
	},
	{
		name: "many-h2c", run: many, peers: []string{"sse.Serve"}, over: transport{http2: true, streams: 100}, odd: true,
		text:    "As many, over HTTP/2 without TLS with 100 streams a connection.",
		columns: append([]column{{"streams", "streams", "%.0f", median}}, memoryAndDelivery...),
	},
	{
		name: "replicas", run: replicas, peers: shared, replicas: true, odd: true,
		text: "Two replicas. 100 messages a second are published on one, for 10 subscribers on the other; then 1,000 a second to a channel that nobody follows.",
		columns: []column{
			{"p50, ms", "latency p50", "%.2f", spread},
			{"p99, ms", "latency p99", "%.2f", spread},
			{"publish p50, ms", "publish p50", "%.2f", spread},
			{"publish p99, ms", "publish p99", "%.2f", spread},
			{"Redis, µs a message and replica", "redis", "%.1f", spread},
			{"unheard: CPU of the other replica, µs a message", "unheard cpu", "%.2f", spread},
		},
	},
	{
		name: "follow", run: follow, peers: shared, replicas: true, odd: true,
		text: "As many messages a second as 2, 4 and 8 replicas follow, with one subscriber on each but the first, which publishes. Redis and all replicas have one core together.",
		columns: []column{
			{"2: a second", "2 publish rate", "%.0f", spread},
			{"Redis, µs a message and replica", "2 redis", "%.1f", spread},
			{"4: a second", "4 publish rate", "%.0f", spread},
			{"Redis, µs", "4 redis", "%.1f", spread},
			{"8: a second", "8 publish rate", "%.0f", spread},
			{"Redis, µs", "8 redis", "%.1f", spread},
		},
	},
}
