package check

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// unreachable returns an error for the user if err means that the endpoint could
// not be tried at all, and nil if it means that the endpoint does not answer.
func unreachable(err error) error {
	var lookup *net.DNSError
	var certificate *tls.CertificateVerificationError
	var network *net.OpError
	var handshake tls.AlertError
	switch {
	case errors.Is(err, errNoAnswer) || errors.Is(err, context.Canceled):
		return nil
	case errors.As(err, &lookup) && lookup.IsNotFound:
		return fmt.Errorf("there is no host %s", quote(lookup.Name))
	case errors.As(err, &lookup):
		return fmt.Errorf("the host %s cannot be looked up: %s", quote(lookup.Name), lookup.Err)
	case errors.As(err, &certificate):
		return fmt.Errorf("the certificate is not trusted (--insecure accepts it): %w", certificate.Err)
	case errors.As(err, &handshake), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fmt.Errorf("no TLS connection: %w", plain(err))
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
