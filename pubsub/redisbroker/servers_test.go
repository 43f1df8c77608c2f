package redisbroker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/sse-demo/pubsub/redistest"
	"example.com/sse-demo/sse/ssetest"
)

// startTLS runs a server that also speaks TLS, with a self-signed certificate. The URL
// is for TLS; Do and Client do without.
func startTLS(t testing.TB, args ...string) *redistest.Server {
	t.Helper()
	s := redistest.Prepare(t)
	cert, key := certificate(t)
	addr := ssetest.FreeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	s.URL = "rediss://:" + redistest.Password + "@" + addr + "/0?skip_verify=true"
	s.Run(append([]string{
		"--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert, "--tls-auth-clients", "no",
	}, args...)...)
	return s
}

func certificate(t testing.TB) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// startReplica runs a server that follows another.
func startReplica(t testing.TB, master *redistest.Server) *redistest.Server {
	t.Helper()
	host, port, _ := net.SplitHostPort(master.Addr)
	standby := redistest.Start(t, "--replicaof", host, port)
	standby.Eventually("master_link_status:up", "INFO", "replication")
	return standby
}

// startSentinels runs n Sentinels of a master, of which a majority must agree, and
// returns the URL of the master that they name. They take it for dead after 500 ms.
func startSentinels(t testing.TB, master *redistest.Server, n int) string {
	t.Helper()
	host, port, _ := net.SplitHostPort(master.Addr)
	var addrs []string
	for range n {
		s := redistest.Prepare(t)
		s.Config = "sentinel monitor events " + host + " " + port + " " + strconv.Itoa(n/2+1) + "\n" +
			"sentinel auth-pass events " + redistest.Password + "\n" +
			"sentinel down-after-milliseconds events 500\nsentinel failover-timeout events 3000\n"
		s.Run("--sentinel")
		addrs = append(addrs, s.Addr)
	}
	return "redis://" + addrs[0] + "/0?master_name=events&password=" + redistest.Password + "&addr=" + strings.Join(addrs[1:], "&addr=")
}

// A move of a slot of a cluster, step by step as redis-cli does it.
type move struct {
	slot     string
	from, to *redistest.Server
}

// moveSlot begins to move the slot of a key to another node. Until the keys are moved the
// first one answers for those that it has, and ASK for others.
func moveSlot(c *redistest.Cluster, key string, to int) move {
	m := move{c.Nodes[0].Do("CLUSTER", "KEYSLOT", key), c.Nodes[c.Owner(key)], c.Nodes[to]}
	m.to.Do("CLUSTER", "SETSLOT", m.slot, "IMPORTING", m.from.Do("CLUSTER", "MYID"))
	m.from.Do("CLUSTER", "SETSLOT", m.slot, "MIGRATING", m.to.Do("CLUSTER", "MYID"))
	return m
}

// keys moves the keys of the slot.
func (m move) keys(keys ...any) {
	host, port, _ := net.SplitHostPort(m.to.Addr)
	m.from.Do("MIGRATE", append([]any{host, port, "", 0, 5000, "AUTH", redistest.Password, "KEYS"}, keys...)...)
}

// end makes the other node the owner of the slot.
func (m move) end() {
	for _, node := range []*redistest.Server{m.to, m.from} {
		node.Do("CLUSTER", "SETSLOT", m.slot, "NODE", m.to.Do("CLUSTER", "MYID"))
	}
}

// cpu is the processor time that a server has used.
func cpu(t testing.TB, s *redistest.Server) (total time.Duration) {
	t.Helper()
	for line := range strings.Lines(s.Do("INFO", "cpu")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "used_cpu_sys" || name == "used_cpu_user" {
			used, err := time.ParseDuration(value + "s")
			if err != nil {
				t.Fatal(err)
			}
			total += used
		}
	}
	return total
}
