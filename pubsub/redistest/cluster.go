package redistest

import (
	"net"
	"strings"
	"testing"

	"example.com/sse-demo/sse/ssetest"
)

// slots is how many a cluster has.
const slots = 16384

// A Cluster is three masters, each with a replica.
type Cluster struct {
	t     testing.TB
	Nodes []*Server // the masters first; a node may change its role
	ids   []string
}

// StartCluster runs six servers as one cluster. A master is taken for dead after a
// second.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	const masters = 3
	c := &Cluster{t: t}
	for range 2 * masters {
		node := Prepare(t)
		_, bus, _ := net.SplitHostPort(ssetest.FreeAddr(t))
		node.Run("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-port", bus)
		if len(c.Nodes) > 0 {
			host, port, _ := net.SplitHostPort(c.Nodes[0].Addr)
			node.Do("CLUSTER", "MEET", host, port, c.busPort())
		}
		c.Nodes = append(c.Nodes, node)
		c.ids = append(c.ids, node.Do("CLUSTER", "MYID"))
	}
	for i, node := range c.Nodes[:masters] {
		node.Do("CLUSTER", "ADDSLOTSRANGE", i*slots/masters, (i+1)*slots/masters-1)
	}
	for i, node := range c.Nodes[masters:] {
		node.Eventually("it knows its master", func() bool { return strings.Contains(node.Do("CLUSTER", "NODES"), c.ids[i]) })
		node.Do("CLUSTER", "REPLICATE", c.ids[i])
	}
	for _, node := range c.Nodes {
		node.Eventually("the cluster is complete", func() bool {
			info := node.Do("CLUSTER", "INFO")
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:6") && strings.Count(node.Do("CLUSTER", "NODES"), "slave") == masters
		})
	}
	for _, node := range c.Nodes[masters:] {
		node.Eventually("the replica is in sync", func() bool { return strings.Contains(node.Do("INFO", "replication"), "master_link_status:up") })
	}
	return c
}

// busPort is the port at which the first node talks to the others.
func (c *Cluster) busPort() string {
	_, port, _ := strings.Cut(c.Nodes[0].Do("CLUSTER", "NODES"), "@")
	port, _, _ = strings.Cut(port, " ")
	port, _, _ = strings.Cut(port, ",")
	return port
}

// Owner is the index of the master that has the slot of a key.
func (c *Cluster) Owner(key string) int {
	c.t.Helper()
	for i, node := range c.Nodes {
		if node.cmd == nil {
			continue
		}
		err := node.Client().XLen(c.t.Context(), key).Err()
		if err == nil { // another node, and a replica, too, answers MOVED
			return i
		}
	}
	c.t.Fatal("no node has the slot of ", key)
	return 0
}

// Failover ends a master without a warning, and waits until its replica has taken over.
func (c *Cluster) Failover(master int) {
	c.t.Helper()
	c.Nodes[master].Kill()
	replica := c.Nodes[master+len(c.Nodes)/2]
	replica.Eventually("it has taken over", func() bool { return strings.Contains(replica.Do("INFO", "replication"), "role:master") })
}

// A Move of a slot, step by step as redis-cli does it.
type Move struct {
	c        *Cluster
	slot     string
	from, to int
}

// Move begins to move the slot of a key to another node. Until the keys are moved the
// first one answers for those that it has, and ASK for others.
func (c *Cluster) Move(key string, to int) *Move {
	c.t.Helper()
	m := &Move{c, c.Nodes[0].Do("CLUSTER", "KEYSLOT", key), c.Owner(key), to}
	c.Nodes[to].Do("CLUSTER", "SETSLOT", m.slot, "IMPORTING", c.ids[m.from])
	c.Nodes[m.from].Do("CLUSTER", "SETSLOT", m.slot, "MIGRATING", c.ids[to])
	return m
}

// Keys moves the keys of the slot.
func (m *Move) Keys(keys ...any) {
	m.c.t.Helper()
	host, port, _ := net.SplitHostPort(m.c.Nodes[m.to].Addr)
	m.c.Nodes[m.from].Do("MIGRATE", append([]any{host, port, "", 0, 5000, "AUTH", Password, "KEYS"}, keys...)...)
}

// End makes the other node the owner of the slot.
func (m *Move) End() {
	m.c.t.Helper()
	for _, i := range []int{m.to, m.from} {
		m.c.Nodes[i].Do("CLUSTER", "SETSLOT", m.slot, "NODE", m.c.ids[m.to])
	}
}
