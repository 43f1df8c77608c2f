// Package check tests an SSE endpoint, through whatever is in between, and reports the
// problems that its clients will have.
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
	origin          string  // of --origin; empty without it
	client, compare *client // compare is without the proxy; nil without --compare

	stream, direct                record // direct is without the proxy
	fresh, unknown, gzip, resumed record // of the probes
	lastID                        string // that resumed has sent first
	headMethod                    head
	cors, otherCORS, preflight    head
	methods                       [len(changing)]head // of --all-methods
}

// posts reports whether the stream answers a request with a body.
func (o *observation) posts() bool { return o.client.body != nil }

// observe listens to the stream and sends the probes. It returns an error for the
// user if the endpoint could not be tried.
func (o *observation) observe(parent context.Context, stderr io.Writer) error {
	ctx, cancel := context.WithCancel(parent)
	var showing sync.WaitGroup
	if f, isFile := stderr.(*os.File); isFile && isatty.IsTerminal(f.Fd()) {
		showing.Go(func() { o.showProgress(ctx, stderr) })
	}
	err := o.listenToBoth(ctx)
	cancel()
	showing.Wait()
	if parent.Err() != nil {
		return errors.New("interrupted")
	}
	return err
}

// listenToBoth listens without the proxy first: if only the proxy holds the head back,
// that is a finding.
func (o *observation) listenToBoth(ctx context.Context) error {
	first := o.firstAsk(ctx)
	if o.compare != nil {
		_, stop := o.direct.start(ctx, o.compare, first, headTimeout, !o.posts())
		defer stop()
		if h := o.direct.now().head; h.code != http.StatusOK && !errors.Is(h.err, errNoAnswer) {
			return fmt.Errorf("--compare: %s", h.outcome())
		}
	}
	return o.listen(ctx, first)
}

// firstAsk returns the request that opens the stream. One with a body is sent once
// only, so it has the Origin, unless a browser would not send it: after an OPTIONS
// request that forbids it.
func (o *observation) firstAsk(ctx context.Context) ask {
	if o.posts() && o.origin != "" {
		o.probePreflight(ctx, headTimeout)
		if o.preflightRefusal() == "" {
			return ask{header: origin(o.origin)}
		}
	}
	return ask{}
}

// listen opens the stream, and returns when the listening and the probes have ended.
func (o *observation) listen(ctx context.Context, first ask) error {
	listening, stop := o.stream.start(ctx, o.client, first, headTimeout, !o.posts())
	defer stop()
	h, direct := o.stream.now().head, o.direct.now().head
	switch {
	case errors.Is(h.err, errUnreachable):
		return h.err
	case h.err == nil && direct.err != nil:
		return fmt.Errorf("--compare: %w", direct.err)
	case h.code != http.StatusOK: // a finding
		return nil
	}
	probing, end := context.WithCancel(ctx)
	defer end()
	var probes sync.WaitGroup
	if o.posts() {
		o.cors = h
	} else {
		o.probe(probing, listening, &probes)
	}
	o.awaitEnough(listening)
	stop()
	defer time.AfterFunc(probesEnd, end).Stop()
	probes.Wait()
	return nil
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
