package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// peer is a server under test. In its texts {channel} is the name of a channel,
// and %s the message.
type peer struct {
	name      string
	command   string // run by a shell; see start for what it is given
	subscribe string // path of a stream
	publish   string // path to POST to
	body      string // of that; sent as JSON, or as a form if it begins with a name
}

func (p peer) contentType() string {
	if strings.Contains(p.body, "=") {
		return "application/x-www-form-urlencoded"
	}
	return "application/json"
}

const (
	demo   = "$WORK/sse-demo --addr 127.0.0.1:$PORT --log-level error --log-file $WORK/empty --max-streams 60000"
	stream = "/stream/channel?name={channel}"
	asJSON = `{"channel":"{channel}","payload":%s}`
)

var peers = []peer{
	{"floor", "$WORK/floor $PORT", "/", "/", "%s"},
	{"sse-demo", demo, stream, "/publish", asJSON},
	{"sse.Serve", "$WORK/serve", stream, "/publish", asJSON},
	{"data-file", demo + " --data-file $WORK/data-$PORT", stream, "/publish", asJSON},
	{"echo-textbook", "$WORK/echo", stream, "/publish", asJSON},
	{"go-sse", "$WORK/gosse", "/events?name={channel}", "/publish?name={channel}", "%s"},
	{"r3labs", "$WORK/r3labs", "/events?stream={channel}", "/publish?stream={channel}", "%s"},
	{"mercure", "$WORK/mercure", "/.well-known/mercure?topic={channel}", "/.well-known/mercure", "topic={channel}&data=%s"},
	{"centrifuge", "$WORK/centrifuge", "/sse?name={channel}&cf_connect=%7B%22id%22%3A1%2C%22connect%22%3A%7B%7D%7D", "/publish?name={channel}", "%s"},
	{"nchan", "sh $WORK/nchan/start.sh", "/subscribe?name={channel}", "/publish?name={channel}", "%s"},
}

// find returns the peer of a name.
func find(name string) peer {
	for _, p := range peers {
		if p.name == name {
			return p
		}
	}
	panic("no peer " + name)
}

// missing names what is needed and not on this machine, for a peer or for replicas.
func missing(work string) map[string]string {
	lacks := map[string]string{}
	if _, err := os.Stat(filepath.Join(work, "floor")); err != nil {
		lacks["floor"] = "a C compiler"
	}
	if exec.Command("sh", filepath.Join(work, "nchan/start.sh"), "check").Run() != nil {
		lacks["nchan"] = "nginx with its module nchan"
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		lacks["replicas"] = "redis-server"
	}
	return lacks
}

// ports of the servers begin here; Redis has the one before.
const firstPort = 18100

// start starts n servers of the peer, as replicas if there is Redis. Each has PORT
// in its environment; CERT and KEY if it is to speak TLS, REDIS if it has one.
func (r *run) start(n int) error {
	for range n {
		port := firstPort + len(r.servers)
		env := map[string]string{"WORK": r.work, "PORT": fmt.Sprint(port)}
		if r.over.tls {
			cert, key := filepath.Join(r.work, "cert.pem"), filepath.Join(r.work, "key.pem")
			maps.Copy(env, map[string]string{"CERT": cert, "KEY": key, "SSE_TLS_CERT": cert, "SSE_TLS_KEY": key})
		}
		if r.redis != nil {
			address := fmt.Sprintf("127.0.0.1:%d", r.redis.port)
			maps.Copy(env, map[string]string{"REDIS": address, "SSE_REDIS_URL": "redis://" + address})
		}
		server, err := startProcess(r.peer.name, r.peer.command, port, env)
		if err != nil {
			return err
		}
		r.servers = append(r.servers, server)
	}
	return nil
}

// startRedis starts a Redis that keeps nothing on disk.
func (r *run) startRedis() (err error) {
	const port = firstPort - 1
	command := fmt.Sprintf("redis-server --bind 127.0.0.1 --port %d --save '' --appendonly no --loglevel warning", port)
	r.redis, err = startProcess("redis-server", command, port, nil)
	return err
}

// stopServers ends what the run has started.
func (r *run) stopServers() {
	for _, s := range r.servers {
		s.stop()
	}
	r.servers = nil
	if r.redis != nil {
		r.redis.stop()
		r.redis = nil
	}
}
