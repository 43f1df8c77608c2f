package main

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
)

// TestDocsLimits: the limits that a page names are those of the code. Each is text
// of the page, and a pattern of what the code must say.
func TestDocsLimits(t *testing.T) {
	texts := pages(t)
	for _, limit := range []struct{ page, says, file, has string }{
		{"docs/api.md", "| request bodies | 64 KiB, within 10 s |", "routes/body.go", `= 64 << 10(?s:.*)= 10 \* time\.Second`},
		{"docs/api.md", "| a line of a log | 64 KiB |", "routes/tail/tail.go", `MaxLine = 64 << 10`},
		{"docs/api.md", "| `grep` | 256 bytes, and a bounded program |", "routes/log.go", `grep must be at most 256 bytes`},
		{"docs/api.md", "| missed ticks | the newest 100 |", "routes/market/feed.go", `= 100\b`},
		{"docs/api.md", "| running jobs | 256 on a replica; an ended one is kept for a minute |", "routes/job/manager.go", `= 256\b`},
		{"docs/api.md", "| running jobs | 256 on a replica; an ended one is kept for a minute |", "routes/job/apply.go", `= time\.Minute`},
		{"docs/api.md", "`wait=MS` (0–60000)", "routes/tick.go", `query:"wait" validate:"omitnil,min=0,max=60000"`},
		{"docs/performance.md", "up to a batch of 256\n  events or 16 KiB", "pubsub/subscription.go", `batchEvents = 256\s+batchBytes  = 16 << 10`},
		{"docs/performance.md", "pauses for an eighth of it", "sse/eventloop/worker.go", `took/8`},
		{"docs/replicas.md", "not heard of for 30 seconds", "routes/job/alive.go", `aliveEvery = 10 \* time\.Second(?s:.*)deadAfter = 3 \* aliveEvery`},
		{"docs/replicas.md", "503 within two seconds", "pubsub/redisbroker/options.go", `2 \* time\.Second`},
		{"docs/browser.md", "closes its connection after a minute", "web/eventstream.js", `MAX_HIDDEN = 60_000`},
	} {
		if !strings.Contains(texts[limit.page], limit.says) {
			t.Errorf("%s does not say %q", limit.page, limit.says)
		}
		if !regexp.MustCompile(limit.has).MatchString(readFile(t, limit.file)) {
			t.Errorf("%s says %q, but %s has no %s", limit.page, limit.says, limit.file, limit.has)
		}
	}
}

// TestDocsEncoding: the times that docs/performance.md gives for encoding are of
// the order of magnitude that is measured here.
func TestDocsEncoding(t *testing.T) {
	if testing.Short() {
		t.Skip("it measures")
	}
	rows := regexp.MustCompile(`(?m)^\| ([\d,]+) (bytes|KiB) \| ([\d.]+) (ns|µs) \|`).FindAllStringSubmatch(readFile(t, "docs/performance.md"), -1)
	if len(rows) != 3 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, row := range rows {
		said, err := time.ParseDuration(row[3] + row[4])
		size, errSize := strconv.Atoi(strings.ReplaceAll(row[1], ",", ""))
		if err != nil || errSize != nil {
			t.Fatal(row, err, errSize)
		}
		if row[2] == "KiB" {
			size <<= 10
		}
		event := sse.Event{ID: "1763683200000-0", Name: "message", Data: []byte(strings.Repeat("x", size))}
		var frame []byte
		compare(t, row[0], said, func() error {
			var err error
			frame, err = event.Append(frame[:0])
			return err
		})
	}
}

// TestDocsPublishing: the same for the times that it gives for publishing.
func TestDocsPublishing(t *testing.T) {
	if testing.Short() {
		t.Skip("it measures")
	}
	said := regexp.MustCompile(`takes (\d+) ns with no subscribers, and (\d+) ns with 10,000`).FindStringSubmatch(readFile(t, "docs/performance.md"))
	if said == nil {
		t.Fatal("the page does not say how long publishing takes")
	}
	for i, subscribers := range []int{0, 10_000} {
		took, err := time.ParseDuration(said[i+1] + "ns")
		if err != nil {
			t.Fatal(err)
		}
		broker := pubsub.NewMemory(1024, 64<<20)
		for range subscribers {
			defer broker.Subscribe([]string{"news"}, pubsub.Start{}).Close()
		}
		data := []byte(strings.Repeat("x", 100))
		compare(t, strconv.Itoa(subscribers)+" subscribers", took, func() error {
			_, err := broker.Publish(t.Context(), "news", "", data)
			return err
		})
	}
}

// compare fails unless do takes about as long as the page says, at the best of
// some attempts.
func compare(t *testing.T, what string, said time.Duration, do func() error) {
	t.Helper()
	const attempts, repeat = 20, 200
	best := time.Hour
	for range attempts {
		began := time.Now()
		for range repeat {
			if err := do(); err != nil {
				t.Fatal(err)
			}
		}
		best = min(best, time.Since(began)/repeat)
	}
	const race = 10 // times as slow is what the race detector makes it
	if best < said/10 || best > said*10*race {
		t.Errorf("%s: %v, the page says %v", what, best, said)
	}
}
