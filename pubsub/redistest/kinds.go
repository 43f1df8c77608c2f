package redistest

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
	"strings"
	"testing"
	"time"

	"example.com/sse-demo/sse/ssetest"
)

// StartTLS runs a server that also speaks TLS, with a self-signed certificate. The
// URL is for TLS; Do and Client do without.
func StartTLS(t testing.TB, args ...string) *Server {
	t.Helper()
	s := Prepare(t)
	cert, key := s.certificate()
	addr := ssetest.FreeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	s.URL = "rediss://:" + Password + "@" + addr + "/0?skip_verify=true"
	s.Run(append([]string{
		"--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert, "--tls-auth-clients", "no",
	}, args...)...)
	return s
}

func (s *Server) certificate() (certFile, keyFile string) {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		s.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		s.t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(s.dir, "cert.pem"), filepath.Join(s.dir, "key.pem")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// StartReplica runs a server that follows s.
func (s *Server) StartReplica() *Server {
	s.t.Helper()
	replica := Prepare(s.t)
	host, port, _ := net.SplitHostPort(s.Addr)
	replica.Run("--replicaof", host, port)
	replica.Eventually("the replica is in sync", func() bool {
		return strings.Contains(replica.Do("INFO", "replication"), "master_link_status:up")
	})
	return replica
}

// MasterName is the name under which Sentinels know their master.
const MasterName = "events"

// StartSentinels runs n Sentinels of a master, of which a majority must agree, and
// returns the URL of the master that they name. They take it for dead after 500 ms.
func StartSentinels(t testing.TB, master *Server, n int) string {
	t.Helper()
	host, port, _ := net.SplitHostPort(master.Addr)
	var addrs []string
	for range n {
		s := &Server{t: t, binary: ssetest.Need(t, "redis-server", "redis-server"), dir: t.TempDir(), Addr: ssetest.FreeAddr(t)}
		t.Cleanup(s.Kill)
		_, own, _ := net.SplitHostPort(s.Addr)
		name := "sentinel "
		text := "bind 127.0.0.1\nport " + own + "\ndir " + s.dir + "\n" +
			name + "monitor " + MasterName + " " + host + " " + port + " " + string(rune('0'+n/2+1)) + "\n" +
			name + "auth-pass " + MasterName + " " + Password + "\n" +
			name + "down-after-milliseconds " + MasterName + " 500\n" +
			name + "failover-timeout " + MasterName + " 3000\n"
		if err := s.launch(text, []string{"--sentinel"}); err != nil {
			t.Fatal(err)
		}
		addrs = append(addrs, s.Addr)
	}
	return "redis://" + addrs[0] + "/0?master_name=" + MasterName + "&password=" + Password + "&addr=" + strings.Join(addrs[1:], "&addr=")
}

// Eventually waits until ok, a few seconds.
func (s *Server) Eventually(what string, ok func() bool) {
	s.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !ok(); <-tick.C {
		if time.Now().After(end) {
			s.t.Fatal("waited in vain: ", what)
		}
	}
}
