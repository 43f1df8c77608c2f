// Package check tries an SSE endpoint, through whatever is in between, and says
// what its clients would suffer.
//
// [Run] opens the stream and listens to it as a client does, for Options.For. A few
// more connections beside it, the probes, ask what one connection cannot show: what
// a client that returns gets, or one that accepts gzip. One function for each check
// then judges what was seen; the variable checks lists them.
//
// Without Options.Data it sends GET, HEAD and OPTIONS, and never a body; with it,
// that one request and no probe. Whatever the endpoint sends, time and memory stay
// bounded: see the constants in run.go, client.go and record.go.
package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/mattn/go-isatty"
)

const (
	maxSilence = 56 * time.Second // is waited for, if the stream is silent when the time is over
	probesEnd  = 15 * time.Second // after the listening
)

// Errors of Run, by the exit status of the program.
var (
	// ErrFailed: a check has failed, as the report says. Status 1.
	ErrFailed = errors.New("a check has failed")
	// ErrNotTried: the endpoint could not be tried, and why. Status 2.
	ErrNotTried = errors.New("not checked")
)

// Run checks the endpoint and prints the report to stdout. If stderr is a terminal,
// it shows what goes on there.
func Run(ctx context.Context, options Options, stdout, stderr io.Writer) error {
	log.SetOutput(io.Discard) // net/http's, to which it writes what a broken server sends
	o, err := newObservation(options)
	if err == nil {
		err = o.observe(ctx, stderr)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotTried, err)
	}
	report := o.judge()
	if err := report.write(stdout, options.JSON); err != nil {
		return fmt.Errorf("%w: the report could not be written: %w", ErrNotTried, err)
	}
	if report.has(isFail) || options.Strict && report.has(isWarn) {
		return ErrFailed
	}
	return nil
}

// An observation is everything that was seen of an endpoint, by these clients.
type observation struct {
	options         Options
	client, compare *client // compare is without the proxy; nil without --compare

	stream, direct                record // direct is without the proxy
	fresh, unknown, gzip, resumed record // of the probes
	lastID                        string // that resumed has sent first
	headMethod                    head
	cors, otherCORS, preflight    head
	methods                       map[string]head // of --all-methods
}

// newObservation checks the options. The error is one for the user.
func newObservation(options Options) (*observation, error) {
	client, compare, err := options.clients()
	if err != nil {
		return nil, err
	}
	return &observation{options: options, client: client, compare: compare, methods: map[string]head{}}, nil
}

// posts reports whether the stream answers a request with a body.
func (o *observation) posts() bool { return o.client.body != nil }

// observe listens to the stream and sends the probes. It returns an error for the
// user if the endpoint could not be tried.
func (o *observation) observe(parent context.Context, stderr io.Writer) error {
	ctx, cancel := context.WithCancel(parent)
	var beside sync.WaitGroup
	if f, isFile := stderr.(*os.File); isFile && isatty.IsTerminal(f.Fd()) {
		beside.Go(func() { o.showProgress(ctx, stderr) })
	}
	first := o.firstAsk(ctx)
	err := o.listenDirectly(ctx, first, &beside)
	if err == nil {
		err = o.listen(ctx, first)
	}
	cancel()
	beside.Wait()
	if parent.Err() != nil {
		return errors.New("interrupted")
	}
	return err
}

// firstAsk returns the request that opens the stream. One with a body is sent once
// only, so it has the Origin, unless a browser would not send it: after an OPTIONS
// request that forbids it.
func (o *observation) firstAsk(ctx context.Context) ask {
	if !o.posts() || o.options.Origin == "" {
		return ask{}
	}
	o.probePreflight(ctx, headTimeout)
	if o.preflightRefusal() != "" {
		return ask{}
	}
	return ask{header: origin(o.options.Origin)}
}

// listenDirectly listens to the endpoint without the proxy until ctx ends, if it
// answers. A head that does not come is an error only if it comes through the proxy.
func (o *observation) listenDirectly(ctx context.Context, first ask, beside *sync.WaitGroup) error {
	if o.compare == nil {
		return nil
	}
	beside.Go(func() { o.direct.follow(ctx, o.compare, first, headTimeout, !o.posts()) })
	o.direct.await(ctx, func(s seen) bool { return s.sent() })
	switch h := o.direct.now().head; {
	case h.err != nil && !errors.Is(h.err, errNoAnswer):
		return fmt.Errorf("--compare: %s", h.outcome())
	case h.err == nil && h.code != http.StatusOK:
		return fmt.Errorf("--compare: it answered %s", h.outcome())
	}
	return nil
}

// listen opens the stream, and returns when the listening and the probes have ended.
func (o *observation) listen(ctx context.Context, first ask) (err error) {
	probing, end := context.WithCancel(ctx)
	defer end()
	var probes sync.WaitGroup
	o.stream.watch(ctx, o.client, first, headTimeout, !o.posts(), func(listening context.Context) {
		h, direct := o.stream.now().head, o.direct.now()
		switch {
		case errors.Is(h.err, errUnreachable):
			err = h.err
		case h.err == nil && direct.err != nil:
			err = fmt.Errorf("--compare: %w", direct.err)
		case h.code == http.StatusOK: // all else is a finding
			if o.posts() {
				o.cors = h
			} else {
				o.probe(probing, listening, &probes)
			}
			o.awaitEnough(listening)
		}
	})
	defer time.AfterFunc(probesEnd, end).Stop()
	probes.Wait()
	return err
}

// awaitEnough returns when the stream was listened to for long enough: for --for, and
// if it is silent then, until the silence ends or maxSilence of it has passed.
func (o *observation) awaitEnough(ctx context.Context) {
	if !pause(ctx, o.options.For) {
		return
	}
	at := o.stream.now().last
	o.stream.await(ctx, func(s seen) bool {
		return !s.closed.IsZero() || !s.last.Equal(at) || time.Since(at) >= maxSilence
	})
}
