package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"

	"example.com/sse-demo/sse/eventloop"
)

const (
	// readHeaderTimeout ends connections that never finish a TLS handshake or a
	// request head.
	readHeaderTimeout = 10 * time.Second
	// answerTimeout is for what net/http answers itself, such as 431 to a head that is
	// too long. Package routes has its own deadlines.
	answerTimeout  = time.Minute
	maxHeaderBytes = 32 << 10
	// idleTimeout ends connections that ask for nothing more.
	idleTimeout = 2 * time.Minute
	// maxConcurrentStreams is how many streams one HTTP/2 connection may have open; a
	// browser has one connection for all its tabs. Four times as many requests that
	// were reset may stay in memory until their handlers begin. Go's own limit is 250.
	maxConcurrentStreams = 100
)

// listen opens the address before anything is served, so that a port in use is
// an error of the start and the real address is known. If the flags name a
// certificate, its connections are TLS.
func listen(ctx context.Context, f *flags) (net.Listener, error) {
	config, err := tlsConfig(f.address)
	if err != nil {
		return nil, err
	}
	tcp := listenConfig(f.WriteTimeout)
	listener, err := tcp.Listen(ctx, "tcp", f.Addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("the address %s is in use; stop the other program or choose another with --addr", f.Addr)
	case err != nil:
		return nil, fmt.Errorf("cannot listen: %w", err)
	case config != nil:
		return tls.NewListener(eventloop.ListenTLS(listener), config), nil
	}
	return listener, nil
}

// tlsConfig returns nil if the flags name no certificate.
func tlsConfig(a address) (*tls.Config, error) {
	if a.TLSCert == "" {
		return nil, nil
	}
	certificate, err := tls.LoadX509KeyPair(a.TLSCert, a.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert and --tls-key: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2", "http/1.1"}}, nil
}

// newServer serves HTTP/1.1 and HTTP/2; without TLS the latter to clients that know
// beforehand.
func newServer(handler http.Handler) *http.Server {
	server := &http.Server{
		Handler:                      handler,
		ReadHeaderTimeout:            readHeaderTimeout,
		WriteTimeout:                 answerTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeaderBytes,
		Protocols:                    new(http.Protocols),
		DisableGeneralOptionsHandler: true, // it waits for bodies without a limit
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          maxConcurrentStreams,
			MaxReceiveBufferPerConnection: 128 << 10, // for bodies, as the next one
			MaxReceiveBufferPerStream:     64 << 10,
		},
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	return server
}
