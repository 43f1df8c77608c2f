package filebroker

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/sse-demo/pubsub"
)

// TestRestarts publishes at random to channels of a short history, over several restarts.
// A client that resumes after any id, before or after a restart, gets a gap if an event
// after it is no longer kept, and only then; what it gets is complete from there on.
func TestRestarts(t *testing.T) {
	type event struct {
		id      pubsub.ID
		channel string
	}
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 0))
		maxEvents, maxBytes, channels := 1+r.IntN(5), 1000+r.IntN(20_000), 1+r.IntN(40)
		path := filepath.Join(t.TempDir(), "data")
		b := open(t, path, maxEvents, maxBytes)
		published := []event{{id: b.last}}
		check := func(when string) {
			for c := range channels + 1 { // the last has no event
				channel := fmt.Sprint("channel ", c)
				for i, after := range published {
					got := text(t, b.Subscribe([]string{channel}, pubsub.Start{After: after.id.String()}))
					var all, have []string
					for _, e := range published[i+1:] {
						if e.channel == channel {
							all = append(all, e.id.String())
						}
					}
					for line := range strings.Lines(got) {
						if id, ok := strings.CutPrefix(line, "id: "); ok {
							have = append(have, strings.TrimSpace(id))
						}
					}
					kept := all[max(len(all)-len(have), 0):]
					if isGap := strings.HasPrefix(got, "event: gap\n"); !slices.Equal(have, kept) || isGap != (len(have) < len(all)) {
						t.Fatalf("seed %d, %s a restart: %s after %s: gap %v, %v of %v", seed, when, channel, after.id, isGap, have, all)
					}
				}
			}
		}
		for range 3 {
			b.db.NoSync = true // it is quicker
			for range r.IntN(60) {
				e := event{channel: fmt.Sprint("channel ", r.IntN(channels))}
				e.id = publish(t, b, e.channel, strings.Repeat("x", r.IntN(300)))
				published = append(published, e)
			}
			check("before")
			shut(t, b)
			b = open(t, path, maxEvents, maxBytes)
			check("after")
		}
		shut(t, b)
	}
}
