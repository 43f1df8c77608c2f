package redisbroker

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/pubsub/redistest"
)

// A pair is two replicas on a master, whose standby can take its place.
type pair struct {
	master, standby *redistest.Server
	near, far       *Broker
	nearLine        *cable
	farLine         *cable
	here, there     pubsub.Subscription // of near and of far
}

// startPair returns when all have the event "kept". The standby gets nothing that
// comes after it.
func startPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{master: redistest.Start(t)}
	p.standby = startReplica(t, p.master)
	var nearURL, farURL string
	p.nearLine, nearURL = lineTo(t, p.master)
	p.farLine, farURL = lineTo(t, p.master)
	p.near, p.far = replica(t, nearURL, quick), replica(t, farURL, quick)
	p.here, p.there = subscribe(t, p.near, "a", pubsub.Start{}), subscribe(t, p.far, "a", pubsub.Start{})
	kept := publish(t, p.near, "a", "kept")
	expect(t, "here", await(t, p.here, 1), "kept")
	expect(t, "there", await(t, p.there, 1), "kept")
	awaitReplicated(t, p.standby, kept)
	p.standby.Do("REPLICAOF", "NO", "ONE")
	return p
}

// connect brings a replica to the standby, which is the master now.
func (p *pair) connect(line *cable) {
	line.lead(p.standby)
	line.set(false)
}

func awaitReplicated(t *testing.T, standby *redistest.Server, id string) {
	t.Helper()
	eventually(t, "the standby has it", func() bool {
		entries, err := standby.Client().XRange(t.Context(), defaultKey, id, id).Result()
		return err == nil && len(entries) == 1
	})
}

// publishSoon publishes to a replica that has just been connected.
func publishSoon(t *testing.T, b *Broker, data string) {
	t.Helper()
	eventually(t, "publishing is back", func() bool {
		_, err := b.Publish(t.Context(), "a", "", []byte(data))
		return err == nil
	})
}

// readGap reads up to the first gap.
func readGap(t *testing.T, s pubsub.Subscription) (seen []string) {
	t.Helper()
	for !slices.ContainsFunc(seen, isGap) {
		seen = append(seen, await(t, s, 1)...)
	}
	return seen
}

// TestLossReachesAllReplicas: only one replica has read an event when the master is
// lost, and the new one does not have it. The subscribers of the others have missed
// it, so they get a gap, too, and one only.
func TestLossReachesAllReplicas(t *testing.T) {
	t.Parallel()
	for name, goOn := range map[string]func(*testing.T, *pair){
		"in silence": func(_ *testing.T, p *pair) {
			p.connect(p.farLine)
			p.connect(p.nearLine)
		},
		"after others have published": func(t *testing.T, p *pair) {
			p.connect(p.farLine)
			publishSoon(t, p.far, "new")
			p.connect(p.nearLine)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startPair(t)
			p.farLine.set(true)
			publish(t, p.near, "a", "lost")
			expect(t, "here", await(t, p.here, 1), "lost")
			p.nearLine.set(true)
			p.master.Kill()
			goOn(t, p)
			here, there := readGap(t, p.here), readGap(t, p.there)
			publishSoon(t, p.near, "end")
			for _, seen := range [][]string{append(here, read(t, p.here)...), append(there, read(t, p.there)...)} {
				if gaps := len(slices.DeleteFunc(slices.Clone(seen), func(data string) bool { return !isGap(data) })); gaps != 1 {
					t.Errorf("%d gaps: %q", gaps, seen)
				}
			}
		})
	}
}

// TestLostBeforeItIsRead: Redis has acknowledged an event, and loses it before any
// replica has read it. No replica can notice that later, so it is not confirmed.
func TestLostBeforeItIsRead(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	p.master.Do("ACL", "SETUSER", "default", "-xread")
	p.master.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	eventually(t, "nothing can be read", func() bool { err := p.near.Err(); return err != nil && strings.Contains(err.Error(), "NOPERM") })
	eventually(t, "Redis has had it", func() bool { // the first connection may be one that was killed
		receipt, err := p.near.Publish(t.Context(), "a", "", []byte("lost"))
		if !errors.Is(err, pubsub.ErrUnconfirmed) {
			t.Errorf("%+v, %v", receipt, err)
		}
		entries, err := p.master.Client().XRevRangeN(t.Context(), defaultKey, "+", "-", 1).Result()
		return err == nil && len(entries) == 1 && entries[0].Values[dataField] == "lost"
	})
	p.nearLine.set(true)
	p.master.Kill()
	p.connect(p.nearLine)
	publishSoon(t, p.near, "end")
	expect(t, "here", read(t, p.here), "end")
}

// TestDemotedAndPromoted: a master becomes a replica and a master again (REPLICAOF), and
// lacks an event then. Its stream is busy all the time. A client that resumes before the
// event gets a gap from the replica that had read it, and from one that starts later.
func TestDemotedAndPromoted(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	other := startReplica(t, server)
	one := replica(t, server.URL, quick)
	first := publish(t, one, "a", "1")
	awaitReplicated(t, other, first)
	other.Do("REPLICAOF", "NO", "ONE")
	publish(t, one, "a", "lost")
	elsewhere := replica(t, other.URL, quick)
	stop := publishers(t, elsewhere)
	s := subscribe(t, one, "a", pubsub.Start{})
	host, port, _ := strings.Cut(other.Addr, ":")
	server.Do("REPLICAOF", host, port)
	await(t, s, 100) // what is published elsewhere comes here, too
	server.Do("REPLICAOF", "NO", "ONE")
	stop()
	publishSoon(t, one, "end")
	eventually(t, "the loss is recorded", func() bool {
		entries, err := server.Client().XRange(t.Context(), defaultKey, "-", "+").Result()
		return err == nil && slices.ContainsFunc(entries, func(m redis.XMessage) bool {
			return m.Values[channelField] == anchorChannel && m.Values[dataField] != ""
		})
	})
	for name, b := range map[string]*Broker{"one that had read it": one, "one that starts now": replica(t, server.URL)} {
		if got := await(t, subscribe(t, b, "a", pubsub.Start{After: first}), 1); !isGap(got[0]) {
			t.Errorf("%s: a client that has the first event gets %.100q", name, got)
		}
	}
}
