package redisbroker

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/pubsub/redistest"
	"example.com/sse-demo/sse/ssetest"
)

// redisCLI runs a command as an operator would.
func redisCLI(t *testing.T, server *redistest.Server, args ...string) string {
	t.Helper()
	host, port, _ := strings.Cut(server.Addr, ":")
	//nolint:gosec // the test says what to run
	out, err := exec.CommandContext(t.Context(), ssetest.Need(t, "redis-cli", "redis-tools"),
		append([]string{"--no-auth-warning", "-a", redistest.Password, "-h", host, "-p", port}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	return strings.TrimSpace(string(out))
}

// TestOtherPrograms publish by XADD. The subscribers of all replicas get the event under
// the id of the entry, and resume after it.
func TestOtherPrograms(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one, two := replica(t, server.URL), replica(t, server.URL)
	here, there := subscribe(t, one, "news", pubsub.Start{}), subscribe(t, two, "news", pubsub.Start{})
	publish(t, one, "news", "before")
	id := redisCLI(t, server, "XADD", defaultKey, "*", "c", "news", "n", "greeting", "d", `{"msg":"hello"}`)
	redisCLI(t, server, "XADD", defaultKey, "*", "d", "two\nlines", "c", "news") // the order does not matter, and a name is not needed
	redisCLI(t, server, "XADD", defaultKey, "*", "c", "other", "c", "news", "d", "first", "d", "the last one counts")
	publish(t, two, "news", "after")
	for _, s := range []pubsub.Subscription{here, there} {
		expect(t, "live", await(t, s, 5), "before", `{"msg":"hello"}`, "two\nlines", "the last one counts", "after")
	}
	frames, err := subscribe(t, two, "news", pubsub.Start{Replay: 4}).Next(nil)
	if want := "id: " + id + "\nevent: greeting\ndata: {\"msg\":\"hello\"}\n\n"; err != nil || string(frames[0]) != want {
		t.Errorf("%q, want %q", frames, want)
	}
	three := replica(t, server.URL)
	expect(t, "resume on a replica that starts later", await(t, subscribe(t, three, "news", pubsub.Start{After: id}), 3), "two\nlines", "the last one counts", "after")
}

// TestOtherForms: entries that are not events are skipped. The first is logged at once,
// the others together after a while, and nobody gets a gap.
func TestOtherForms(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var log bytes.Buffer
	b := replica(t, server.URL, func(o *Options) {
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		o.Check = func(channel, name string, _ []byte) error {
			if strings.Contains(channel, " ") || name == "gap" {
				return errors.New("refused")
			}
			return nil
		}
	})
	s := subscribe(t, b, "a", pubsub.Start{})
	publish(t, b, "a", "before")
	for _, fields := range [][]any{
		{"what", "ever"},
		{"c", "a"},
		{"d", "x"},
		{"c", "", "d", "x"},
		{"c", "a", "n", "a\rb", "d", "x"},
		{"c", "a", "n", "gap", "d", "x"},
		{"c", "a b", "d", "x"},
		{"c", "a", "c", "b", "n", "gap", "d", "x"},
		{"c", "a", "n", "gap", "d", "x", "t", "rubbish"},
		{"", ""},
	} {
		server.Do("XADD", append([]any{defaultKey, "*"}, fields...)...)
		publish(t, b, "a", "on")
	}
	b.Close() // the log is complete
	seen := next(t, s)
	expect(t, "live", seen, append([]string{"before"}, strings.Fields(strings.Repeat("on ", len(seen)-1))...)...)
	if n := strings.Count(log.String(), "level=WARN"); n != 1 || !strings.Contains(log.String(), "it is skipped") || !strings.Contains(log.String(), "it has no channel") {
		t.Errorf("%d warnings: %s", n, &log)
	}
}

// TestOtherTotals: an entry of another program that has the field of the running total, one
// that is a copy of a replica's included, drops nothing, and nobody gets a gap.
func TestOtherTotals(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := replica(t, server.URL)
	s := subscribe(t, b, "a", pubsub.Start{})
	want := []string{"first"}
	first := publish(t, b, "a", "first")
	entries, err := server.Client().XRange(t.Context(), defaultKey, first, first).Result()
	if err != nil || len(entries) != 1 {
		t.Fatal(entries, err)
	}
	for i, total := range []any{0, 1, 5000, "999999999999999", "9999999999999999999999", -1, "", "1@", "1@*", entries[0].Values[totalField]} {
		theirs, ours := fmt.Sprint(i, " theirs"), fmt.Sprint(i, " ours")
		server.Do("XADD", defaultKey, "*", "t", total, "c", "a", "n", "", "d", theirs)
		publish(t, b, "a", ours)
		server.Do("XADD", defaultKey, "*", "c", "a", "d", theirs, "t", total)
		want = append(want, theirs, ours, theirs)
	}
	if _, err := b.run(t.Context(), b.commands, checkScript, ""); err != nil { // it trims
		t.Fatal(err)
	}
	publish(t, b, "a", "end")
	expect(t, "live", read(t, s), append(want, "end")...)
	expect(t, "kept", await(t, subscribe(t, replica(t, server.URL), "a", pubsub.Start{Replay: 100}), len(want)+1), append(want, "end")...)
}

// TestOtherEntryIsHuge: beyond an entry of another program that is too large to look past,
// totals begin anew, and nobody gets a gap.
func TestOtherEntryIsHuge(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := replica(t, server.URL)
	s := subscribe(t, b, "a", pubsub.Start{})
	publish(t, b, "a", "first")
	server.Do("XADD", defaultKey, "*", "x", strings.Repeat("x", 40_000_000))
	publish(t, b, "a", "second")
	publish(t, b, "a", "end")
	expect(t, "live", read(t, s), "first", "second", "end")
}

// TestOtherProgramsAreBounded: the limits hold for what other programs add, whether or
// not a replica publishes, and drop no more than they must.
func TestOtherProgramsAreBounded(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client()
	const limit, size = 1 << 20, 10_000
	b := replica(t, server.URL, quick, func(o *Options) { o.MaxBytes = limit })
	s := subscribe(t, b, "a", pubsub.Start{})
	add := func(n int) {
		for range n {
			if err := client.Do(t.Context(), "XADD", defaultKey, "*", "c", "a", "d", strings.Repeat("x", size)).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	add(20)
	if err := b.probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if events, _ := usage(t, client, defaultKey); events < 21 {
		t.Errorf("%d events are kept, although all fit", events)
	}
	seen := await(t, s, 20)
	for _, what := range []string{"alone", "among others"} {
		for i := range 300 {
			add(1)
			seen = append(seen, await(t, s, 1)...) // the replica may not fall behind what is kept
			if what == "among others" && i%50 == 0 {
				publish(t, b, "a", "ours "+strconv.Itoa(i))
			}
		}
		eventually(t, "it is trimmed", func() bool { _, bytes := usage(t, client, defaultKey); return bytes <= limit*11/10 })
		if events, bytes := usage(t, client, defaultKey); bytes < limit*6/10 {
			t.Errorf("%s: %d events in %d bytes are kept, the limit is %d", what, events, bytes, limit)
		}
	}
	publish(t, b, "a", "end")
	if seen = append(seen, read(t, s)...); len(seen) != 20+2*300+6+1 || slices.ContainsFunc(seen, isGap) {
		t.Errorf("%d events have come", len(seen))
	}
}

// TestOtherProgramsAreLost: an entry of another program that Redis loses is a gap, too.
func TestOtherProgramsAreLost(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	lost := p.master.Do("XADD", defaultKey, "*", "c", "a", "d", "lost")
	expect(t, "here", await(t, p.here, 1), "lost")
	p.master.Kill()
	p.connect(p.nearLine)
	publishSoon(t, p.near, "end")
	if got := readGap(t, p.here); len(got) == 0 {
		t.Errorf("%s is lost, and there is no gap", lost)
	}
}

// TestHighestID: another program has chosen an id that none can follow. Err and the log name
// the cause, steadily, and so does a replica that starts then.
func TestHighestID(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"18446744073709551615-18446744073709551615", "18446744073709551615-0"} {
		server := redistest.Start(t)
		one := replica(t, server.URL, quick)
		s := subscribe(t, one, "a", pubsub.Start{})
		server.Do("XADD", defaultKey, id, "c", "a", "d", "last")
		expect(t, "live", await(t, s, 1), "last")
		for _, b := range []*Broker{one, replica(t, server.URL, quick)} {
			eventually(t, "it is noticed", func() bool { return b.Err() != nil })
			_, err := b.Publish(t.Context(), "a", "", nil)
			probed := b.probe(t.Context())
			for _, err := range []error{b.Err(), err, probed} {
				if err == nil || !strings.Contains(err.Error(), defaultKey+" has had an entry with an id so high") {
					t.Errorf("%s: %v", id, err)
				}
			}
		}
	}
}
