package check

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
)

// unreachable returns an error for the user if err means that the endpoint could
// not be tried at all, and nil if it means that the endpoint does not answer.
func unreachable(err error) error {
	var lookup *net.DNSError
	var certificate *tls.CertificateVerificationError
	var network *net.OpError
	var handshake *handshakeError
	switch {
	case errors.Is(err, errNoAnswer) || errors.Is(err, context.Canceled):
		return nil
	case errors.As(err, &lookup) && lookup.IsNotFound:
		return fmt.Errorf("there is no host %s", quote(lookup.Name))
	case errors.As(err, &lookup):
		return fmt.Errorf("the host %s cannot be looked up: %s", quote(lookup.Name), lookup.Err)
	case errors.As(err, &certificate):
		return fmt.Errorf("the certificate is not trusted (--insecure accepts it): %w", certificate.Err)
	case errors.As(err, &handshake):
		return fmt.Errorf("no TLS connection: %w", handshake)
	case errors.As(err, &network) && network.Op == "remote error": // an alert of TLS 1.3, which may come after the handshake
		return fmt.Errorf("no TLS connection: %w", network)
	case errors.As(err, &network) && (network.Op == "dial" || network.Op == "proxyconnect"):
		return fmt.Errorf("no connection: %w", network)
	default:
		return nil
	}
}

// plain takes off what net/http puts before the cause.
func plain(err error) error {
	if problem, ok := errors.AsType[*url.Error](err); ok {
		return problem.Err
	}
	return err
}

// A handshakeError is that of a TLS handshake.
type handshakeError struct{ error }

func (e *handshakeError) Unwrap() error { return e.error }

func (e *handshakeError) Error() string {
	var notTLS tls.RecordHeaderError
	switch {
	case errors.As(e.error, &notTLS):
		return "the answer is not TLS; is the URL http://?"
	case errors.Is(e.error, io.EOF):
		return "the server closed the connection during the handshake"
	}
	return e.error.Error()
}

// watchHandshake returns a context for a request, and a function that returns err,
// the error of the request, as a handshakeError if a TLS handshake has failed.
func watchHandshake(ctx context.Context) (context.Context, func(err error) error) {
	var failed atomic.Pointer[handshakeError]
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
		if err != nil {
			failed.Store(&handshakeError{err})
		}
	}})
	return ctx, func(err error) error {
		if handshake := failed.Load(); err != nil && handshake != nil {
			return handshake
		}
		return err
	}
}
