// Command sse-demo is a reference service for Server-Sent Events.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"example.com/sse-demo/cmd/sse-demo/check"
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
)

// errUsage means that the command line is wrong.
var errUsage = errors.New("usage")

func main() {
	err := run(context.Background(), os.Args[1:], endSignals(), os.Stdout, os.Stderr)
	if err == nil {
		return
	}
	if errors.Is(err, check.ErrFailed) { // its report says what
		os.Exit(1)
	}
	printError(err)
	if errors.Is(err, errUsage) || errors.Is(err, check.ErrNotTried) {
		os.Exit(2)
	}
	os.Exit(1)
}

// endSignals are the signals that end the program. A terminal that closes sends
// SIGHUP, unless nohup has it ignored.
func endSignals() <-chan os.Signal {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	return signals
}

// printError prints err as one line. It does not wait long for a stderr that nobody
// reads.
func printError(err error) {
	printed := make(chan struct{})
	go func() {
		defer close(printed)
		fmt.Fprintln(os.Stderr, "sse-demo:", strings.ReplaceAll(err.Error(), "\n", " "))
	}()
	select {
	case <-printed:
	case <-time.After(flushTimeout):
	}
}

// commands is the command line.
type commands struct {
	Serve       flags         `cmd:"" default:"withargs" help:"Serve the demo; this is what happens without a command."`
	Check       check.Options `cmd:"" help:"Try an SSE endpoint, and say what its clients would suffer."`
	Healthcheck address       `cmd:"" help:"Ask the service at --addr for its health, for containers without a shell; exit status 0 if it is well."`
}

// run is the program without the process around it. It returns when the command
// has ended, by itself, by a signal or because ctx is cancelled.
func run(ctx context.Context, args []string, signals <-chan os.Signal, stdout, stderr io.Writer) error {
	var c commands
	exited := false
	parser, err := kong.New(
		&c,
		kong.Name("sse-demo"),
		kong.Description("A reference service for Server-Sent Events."),
		kong.DefaultEnvars("SSE"),
		kong.Help(printHelp),
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { exited = true }),
	)
	if err != nil {
		return err
	}
	parsed, err := parser.Parse(args)
	if exited { // --help was all that was wanted
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w (%w: %s --help)", err, errUsage, commandOf(args))
	}
	switch parsed.Selected().Name {
	case "check":
		ctx, stop := endedBy(ctx, signals)
		defer stop()
		return check.Run(ctx, c.Check, stdout, stderr)
	case "healthcheck":
		return checkHealth(ctx, c.Healthcheck)
	default:
		return serve(ctx, &c.Serve, signals, stderr)
	}
}

// commandOf is the command whose help has the flags that were meant.
func commandOf(args []string) string {
	if len(args) > 0 && (args[0] == "check" || args[0] == "healthcheck") {
		return "sse-demo " + args[0]
	}
	return "sse-demo"
}

// printHelp adds the flags of serve, which needs no command, to the help of the
// program.
func printHelp(options kong.HelpOptions, parsed *kong.Context) error {
	err := kong.DefaultHelpPrinter(options, parsed)
	if err != nil || parsed.Selected() != nil {
		return err
	}
	parsed, err = kong.Trace(parsed.Kong, []string{"serve"})
	if err != nil {
		return err
	}
	return kong.DefaultHelpPrinter(options, parsed)
}

// endedBy returns a context that ends at the first signal.
func endedBy(ctx context.Context, signals <-chan os.Signal) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(ctx)
	go func() {
		select {
		case <-signals:
			stop()
		case <-ctx.Done():
		}
	}()
	return ctx, stop
}

// listen opens the address before anything is served, so that a port in use is
// an error of the start and the real address is known.
func listen(ctx context.Context, f *flags) (net.Listener, error) {
	config := listenConfig(f.WriteTimeout)
	listener, err := config.Listen(ctx, "tcp", f.Addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("the address %s is in use; stop the other program or choose another with --addr", f.Addr)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen: %w", err)
	}
	return listener, nil
}

// loadCertificate returns nil if the flags name none.
func loadCertificate(a address) ([]tls.Certificate, error) {
	if a.TLSCert == "" {
		return nil, nil
	}
	certificate, err := tls.LoadX509KeyPair(a.TLSCert, a.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert and --tls-key: %w", err)
	}
	return []tls.Certificate{certificate}, nil
}

// newServer serves HTTP/1.1 and HTTP/2; without certificates the latter to clients
// that know beforehand.
func newServer(handler http.Handler, certificates []tls.Certificate) *http.Server {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		Protocols:         new(http.Protocols),
		HTTP2:             http2Limits(),
		ConnContext:       withConn,

		DisableGeneralOptionsHandler: true, // it waits for bodies without a limit
		ConnState:                    growStack,
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	if len(certificates) > 0 {
		server.TLSConfig = &tls.Config{Certificates: certificates}
	}
	return server
}

// serveOn serves HTTPS if there is a certificate, and else HTTP.
func serveOn(listener net.Listener, server *http.Server) error {
	if server.TLSConfig == nil {
		return server.Serve(listener)
	}
	return server.ServeTLS(listener, "", "")
}
