// Command sse-demo is a reference service for Server-Sent Events.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"reflect"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"example.com/sse-demo/cmd/sse-demo/check"
)

// errUsage means that the command line is wrong.
var errUsage = errors.New("usage")

func main() {
	err := run(untilSignal(), os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case err == nil:
	case errors.Is(err, check.ErrFailed): // its report says what
		os.Exit(1)
	case errors.Is(err, errUsage), errors.Is(err, check.ErrNotTried):
		exit(2, err)
	default:
		exit(1, err)
	}
}

// untilSignal returns a context that the first signal ends. The second ends the
// program, unless it is SIGHUP: a terminal that closes may send that twice, by its
// shell and by the kernel, and nohup has it ignored.
func untilSignal() context.Context {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	ctx, end := context.WithCancelCause(context.Background())
	go func() {
		end(fmt.Errorf("%v signal received", <-signals))
		for s := range signals {
			if s != syscall.SIGHUP {
				exit(1, errors.New("ended before all requests were, by a second signal"))
			}
		}
	}()
	return ctx
}

// exit prints err as one line, and ends the program even if nobody reads stderr.
func exit(status int, err error) {
	time.AfterFunc(flushTimeout, func() { os.Exit(status) })
	fmt.Fprintln(os.Stderr, "sse-demo:", strings.ReplaceAll(err.Error(), "\n", " "))
	os.Exit(status)
}

// commands is the command line.
type commands struct {
	Serve       flags         `cmd:"" default:"withargs" help:"Serve the demo; this is what happens without a command."`
	Check       check.Options `cmd:"" help:"Try an SSE endpoint, and say what its clients would suffer."`
	Healthcheck address       `cmd:"" help:"Ask the service at --addr for its health, for containers without a shell; exit status 0 if it is well."`
}

// run is the program without the process around it. It returns when the command
// has ended, by itself or because ctx has.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var c commands
	exited := false
	parser, err := kong.New(
		&c,
		kong.Name("sse-demo"),
		kong.Description("A reference service for Server-Sent Events."),
		kong.DefaultEnvars("SSE"),
		kong.WithHyphenPrefixedParameters(true), // -1 is a value, though never a good one
		kong.KindMapper(reflect.String, kong.MapperFunc(decodeText)),
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
	if problem, ok := errors.AsType[*kong.ParseError](err); ok {
		command := "sse-demo"
		if selected := problem.Context.Selected(); selected != nil {
			command += " " + selected.Name
		}
		text := kongNothing.Replace(err.Error())
		return fmt.Errorf("%s (%w: %s --help)", text, errUsage, command)
	}
	if err != nil {
		return err
	}
	switch parsed.Selected().Name {
	case "check":
		return check.Run(ctx, c.Check, stdout, stderr)
	case "healthcheck":
		return checkHealth(ctx, c.Healthcheck)
	default:
		return serve(ctx, &c.Serve, stderr)
	}
}

// decodeText reads the value of a flag. By itself kong takes nothing for an empty value,
// and the next flag for a value. One that looks like a flag must come after a =.
func decodeText(c *kong.DecodeContext, target reflect.Value) error {
	switch next := c.Scan.Peek(); {
	case next.IsEOL():
		return errors.New("expected a value but got nothing")
	case next.InferredType() == kong.FlagToken:
		return errors.New("expected a value but got a flag; a value that begins with -- must follow a =")
	}
	return c.Scan.PopValueInto("text", target.Addr().Interface())
}

// kongNothing mends what kong says of a flag without its value.
var kongNothing = strings.NewReplacer(`"EOL" (<nil>)`, "nothing", "%!q(<nil>)", "nothing")

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

const probeTimeout = 3 * time.Second

// checkHealth returns an error unless the service that listens on a is well. It asks
// this machine: by no proxy, and by whatever name the certificate is for.
func checkHealth(ctx context.Context, a address) error {
	scheme, host := "http", a.Addr
	if a.TLSCert != "" {
		scheme = "https"
	}
	if strings.HasPrefix(host, ":") {
		host = "localhost" + host
	}
	url := scheme + "://" + host + "/health"
	direct := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	client := &http.Client{Timeout: probeTimeout, Transport: direct}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	return nil
}
