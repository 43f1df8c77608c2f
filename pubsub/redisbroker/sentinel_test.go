package redisbroker

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/pubsub/redistest"
)

// TestFailover kills the master while it is published to. Subscriptions stay,
// publishing is back soon, and each event that the new master has arrives once.
func TestFailover(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	standby := startReplica(t, master)
	url := startSentinels(t, master, 3)
	one, two := replica(t, url, quick), replica(t, url, quick)
	first := publish(t, one, "a", "first")
	here, there := subscribe(t, one, "a", pubsub.Start{After: first}), subscribe(t, two, "a", pubsub.Start{After: first})
	stop := publishers(t, one, two)
	await(t, subscribe(t, two, "a", pubsub.Start{}), 200)
	master.Kill()
	eventually(t, "publishing is back", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := one.Publish(ctx, "a", "", []byte("back"))
		return err == nil
	})
	await(t, subscribe(t, two, "a", pubsub.Start{}), 200)
	acknowledged := stop()
	eventually(t, "both are well", func() bool { return one.Err() == nil && two.Err() == nil })
	publish(t, one, "a", "end")

	kept := map[string]bool{}
	entries, err := standby.Client().XRange(t.Context(), defaultKey, "-", "+").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		kept[e.Values["d"].(string)] = true
	}
	for i, s := range []pubsub.Subscription{here, there} {
		seen := read(t, s)
		times := map[string]int{}
		gaps := slices.ContainsFunc(seen, isGap)
		for _, data := range seen {
			if times[data]++; times[data] > 1 && data != "back" && !isGap(data) {
				t.Errorf("subscriber %d: %q has come twice", i, data)
			}
		}
		lost := 0
		for _, data := range slices.Concat(acknowledged...) {
			if times[data] == 0 && kept[data] {
				t.Errorf("subscriber %d: %q is kept by Redis and has not come", i, data)
			} else if times[data] == 0 {
				lost++
			}
		}
		if lost > 0 && !gaps {
			t.Errorf("subscriber %d: %d events are lost without a gap", i, lost)
		}
		t.Logf("subscriber %d: %d events, gap: %v, lost by Redis: %d", i, len(seen), gaps, lost)
	}
}

// TestFailoverLosesEvents: the standby was cut off and has not what was acknowledged
// last, and the master's clock was ahead. What is lost is a gap, and ids go on
// rising.
func TestFailoverLosesEvents(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	standby := startReplica(t, master)
	url := startSentinels(t, master, 3)
	b := replica(t, url, quick)
	s := subscribe(t, b, "a", pubsub.Start{})
	seen := publish(t, b, "a", "seen")
	expect(t, "live", await(t, s, 1), "seen")
	awaitReplicated(t, standby, seen)
	standby.Pause()
	master.Do("CLIENT", "KILL", "TYPE", "replica") // nothing more is in its socket
	future := strconv.FormatInt(time.Now().Add(30*time.Second).UnixMilli(), 10) + "-7"
	master.Do("XADD", defaultKey, future, "c", "a", "n", "", "d", "lost")
	expect(t, "live", await(t, s, 1), "lost")
	publish(t, b, "a", "lost, too")
	expect(t, "live", await(t, s, 1), "lost, too")
	master.Kill()
	standby.Resume()
	var id string
	eventually(t, "publishing is back", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r, err := b.Publish(ctx, "a", "", []byte("after"))
		id = r.ID.String()
		return err == nil
	})
	before, _ := pubsub.ParseID(future)
	if after, _ := pubsub.ParseID(id); after.Compare(before) <= 0 {
		t.Errorf("ids have fallen to %s, after %s", id, future)
	}
	got := await(t, s, 2)
	if !isGap(got[0]) || got[len(got)-1] != "after" {
		t.Errorf("after the failover: %q", got)
	}
	if got := next(t, subscribe(t, b, "a", pubsub.Start{After: seen})); !isGap(got[0]) || !strings.HasPrefix(got[len(got)-1], "after") {
		t.Errorf("a client that comes back: %q", got)
	}
}
