package redisbroker

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/pubsub/redistest"
)

const clusterKey = "{test}:events"

func inCluster(o *Options) { o.Key = clusterKey }

// limited creates a user with no more rights than docs/replicas.md gives one in a cluster,
// on all nodes, and returns the URL of a node for that user.
func limited(c *redistest.Cluster, node int) string {
	for _, server := range c.Nodes {
		server.Do("ACL", "SETUSER", "limited", "on", ">secret", "~"+clusterKey, "+evalsha", "+eval", "+xadd", "+xtrim", "+xlen", "+xrange", "+xrevrange", "+xread", "+time", "+cluster|slots", "+asking")
	}
	return strings.Replace(c.Nodes[node].URL, ":"+redistest.Password, "limited:secret", 1)
}

// TestRedisCluster: a cluster is recognized by itself, by a URL that names any one of its
// nodes. Its slot moves to another node, and its master is lost: publishing is back
// soon, subscriptions stay, and no event is lost or comes twice.
func TestRedisCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	one, two := replica(t, c.Nodes[0].URL, inCluster, quick), replica(t, limited(c, 4), inCluster, quick)
	here, there := subscribe(t, one, "a", pubsub.Start{}), subscribe(t, two, "a", pubsub.Start{})
	stop := publishers(t, one, two)
	progress := func(when string) {
		t.Helper()
		for i, b := range []*Broker{one, two} {
			await(t, subscribe(t, b, "a", pubsub.Start{}), 100)
			eventually(t, fmt.Sprintf("%s replica %d is well", when, i), func() bool { return b.Err() == nil })
		}
	}
	progress("at first")

	from := c.Owner(clusterKey)
	moving := moveSlot(c, clusterKey, (from+1)%3)
	progress("while the slot is about to move")
	moving.keys(clusterKey)
	progress("while the key is at the other node, which does not own the slot yet")
	moving.end()
	progress("after the slot has moved")
	if owner := c.Owner(clusterKey); owner != (from+1)%3 {
		t.Errorf("node %d owns the slot, want %d", owner, (from+1)%3)
	}
	checkAll(t, one, stop(), here, there)

	master := c.Owner(clusterKey)
	stop = publishers(t, one, two)
	progress("before the failover")
	c.Failover(master, (*redistest.Server).Kill)
	progress("after the failover")
	acknowledged := stop()
	publish(t, one, "a", "end")
	for i, s := range []pubsub.Subscription{here, there} {
		seen := read(t, s)
		for _, data := range slices.Concat(acknowledged...) {
			if !slices.Contains(seen, data) && !slices.ContainsFunc(seen, isGap) {
				t.Errorf("subscriber %d: %q is lost without a gap", i, data)
			}
		}
	}
	eventually(t, "both are well", func() bool { return one.Err() == nil && two.Err() == nil })
}

// TestRedisClusterGoesOnWithoutItsFirstNode: the node of the URL does not have the stream, and
// is lost.
func TestRedisClusterGoesOnWithoutItsFirstNode(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	owner := c.Owner(clusterKey)
	first := c.Nodes[(owner+1)%3]
	b := replica(t, first.URL, inCluster, quick)
	j := startJournal(t, first.URL, nil, func(o *Options) { o.Key = "{test}:jobs" }, quick)
	publish(t, b, "a", "1")
	write(t, j, "1")
	c.Failover((owner+1)%3, (*redistest.Server).Kill)
	publishSoon(t, b, "2")
	eventually(t, "the journal is back", func() bool { return j.Publish(t.Context(), "", []byte("2")) == nil })
	if err := j.Sync(t.Context()); err != nil {
		t.Error(err)
	}
	s := subscribe(t, b, "a", pubsub.Start{Replay: 2})
	expect(t, "kept", await(t, s, 2), "1", "2")
	eventually(t, "it is well", func() bool { return b.Err() == nil && j.Err() == nil })
}
