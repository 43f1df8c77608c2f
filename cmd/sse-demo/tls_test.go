package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// certificate writes a self-signed certificate and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "sse-demo test"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", keyDER)
}

func TestTLS(t *testing.T) {
	cert, key := certificate(t)
	p := start(t, nil, "--tls-cert", cert, "--tls-key", key)
	url := "https://" + p.addr + "/stream/tick"
	if out := p.curl("event: tick", "--cacert", cert, url); !strings.HasPrefix(out, "HTTP/2 200") {
		t.Error(out)
	}
	if out := p.curl("event: tick", "--cacert", cert, "--http1.1", url); !strings.HasPrefix(out, "HTTP/1.1 200") {
		t.Error(out)
	}
	if out, err := programCommand(t, nil, "healthcheck", "--addr", p.addr, "--tls-cert", cert, "--tls-key", key).CombinedOutput(); err != nil {
		t.Errorf("%s %v", out, err)
	}
	p.curl("400 Bad Request", "--http1.1", p.url("/"))
	p.eventually("the failed handshake is a warning", func() bool {
		return strings.Contains(p.stderr.text(), `{"level":"warn",`) && strings.Contains(p.stderr.text(), "TLS handshake error")
	})
	p.signal(syscall.SIGTERM)
	p.ends(0)
}

// TestManyBadHandshakes: clients cannot fill the log with them.
func TestManyBadHandshakes(t *testing.T) {
	cert, key := certificate(t)
	p := start(t, nil, "--tls-cert", cert, "--tls-key", key)
	for range 5 * maxWarnings {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, "no handshake\r\n\r\n")
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		_, _ = io.Copy(io.Discard, conn) // until the service has given up
		_ = conn.Close()
	}
	p.signal(syscall.SIGTERM)
	p.ends(0)
	if n := strings.Count(p.stderr.text(), "TLS handshake error"); n == 0 || n > 2*maxWarnings { // a minute may end in between
		t.Errorf("%d lines of %d bad handshakes", n, 5*maxWarnings)
	}
}
