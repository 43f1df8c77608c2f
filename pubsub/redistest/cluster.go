package redistest

import (
	"net"
	"testing"

	"example.com/sse-demo/sse/ssetest"
)

// A Cluster is three masters, each with a replica.
type Cluster struct {
	Nodes []*Server // the masters first; a node may change its role
	t     testing.TB
}

// StartCluster runs six servers as one cluster. A master is taken for dead after a
// second.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	const masters, slots = 3, 16384
	c := &Cluster{t: t}
	_, firstBus, _ := net.SplitHostPort(ssetest.FreeAddr(t))
	for i := range 2 * masters {
		node, bus := Prepare(t), firstBus
		if i > 0 {
			_, bus, _ = net.SplitHostPort(ssetest.FreeAddr(t))
		}
		node.Run("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-port", bus)
		c.Nodes = append(c.Nodes, node)
		if i > 0 {
			host, port, _ := net.SplitHostPort(c.Nodes[0].Addr)
			node.Do("CLUSTER", "MEET", host, port, firstBus)
		}
		if i < masters {
			node.Do("CLUSTER", "ADDSLOTSRANGE", i*slots/masters, (i+1)*slots/masters-1)
			continue
		}
		master := c.Nodes[i-masters].Do("CLUSTER", "MYID")
		node.Eventually(master, "CLUSTER", "NODES")
		node.Do("CLUSTER", "REPLICATE", master)
	}
	for i, node := range c.Nodes {
		node.Eventually("cluster_known_nodes:6", "CLUSTER", "INFO")
		node.Eventually("cluster_state:ok", "CLUSTER", "INFO")
		for _, master := range c.Nodes[:masters] { // a node votes only for one that it knows as a replica
			node.Eventually("slave "+master.Do("CLUSTER", "MYID"), "CLUSTER", "NODES")
		}
		if i >= masters {
			node.Eventually("master_link_status:up", "INFO", "replication")
		}
	}
	return c
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

// Failover kills or pauses a master, and waits until its replica has taken over.
func (c *Cluster) Failover(master int, end func(*Server)) {
	c.t.Helper()
	end(c.Nodes[master])
	c.Nodes[master+len(c.Nodes)/2].Eventually("role:master", "INFO", "replication")
}
