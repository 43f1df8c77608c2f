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
		err = o.observeAndShow(ctx, stderr)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotTried, err)
	}
	report := o.judge()
	if options.JSON {
		err = report.writeJSON(stdout)
	} else {
		err = report.writeText(stdout, isTerminal(stdout) && os.Getenv("NO_COLOR") == "")
	}
	if err != nil {
		return fmt.Errorf("%w: the report could not be written: %w", ErrNotTried, err)
	}
	if report.has(isFail) || options.Strict && report.has(isWarn) {
		return ErrFailed
	}
	return nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// An observation is everything that was seen of an endpoint, by these clients.
type observation struct {
	options         Options
	client, compare *client // compare is without the proxy, with --compare
	main, directly  *record // what goes into stream and direct, while it comes

	stream, direct                seen   // direct is without the proxy
	fresh, unknown, gzip, resumed seen   // of the probes
	lastID                        string // that resumed has sent
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
	return &observation{
		options: options, client: client, compare: compare,
		main: newRecord(""), directly: newRecord(""), methods: map[string]head{},
	}, nil
}

// posts reports whether the stream answers a request with a body.
func (o *observation) posts() bool { return o.client.body != nil }

func (o *observation) observeAndShow(ctx context.Context, stderr io.Writer) error {
	showing, stop := context.WithCancel(ctx)
	var shown sync.WaitGroup
	defer shown.Wait()
	defer stop()
	if isTerminal(stderr) {
		shown.Go(func() { o.showProgress(showing, stderr) })
	}
	return o.observe(ctx)
}

// observe listens to the stream and sends the probes. It returns an error for the
// user if the endpoint could not be tried.
func (o *observation) observe(parent context.Context) error {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	first := o.firstAsk(ctx)
	var direct sync.WaitGroup
	err := o.listenDirectly(ctx, first, &direct)
	if err == nil {
		err = o.listen(ctx, first)
	}
	cancel()
	direct.Wait()
	o.direct = o.directly.now()
	if parent.Err() != nil {
		return errors.New("interrupted")
	}
	return err
}

// firstAsk returns the request that opens the stream. One with a body is sent once
// only, so it has the Origin, unless a browser would not send it: after an OPTIONS
// request that forbids it.
func (o *observation) firstAsk(ctx context.Context) (first ask) {
	if !o.posts() {
		return first
	}
	first.encoding = o.client.header.Get("Accept-Encoding")
	if o.options.Origin != "" {
		o.probePreflight(ctx, headTimeout)
		if o.preflightRefusal() == "" {
			first.header = http.Header{"Origin": {string(o.options.Origin)}}
		}
	}
	return first
}

// listenDirectly listens to the endpoint without the proxy until ctx ends, if it
// answers. A head that does not come is an error only if it comes through the proxy.
func (o *observation) listenDirectly(ctx context.Context, first ask, listening *sync.WaitGroup) error {
	if o.compare == nil {
		return nil
	}
	listening.Go(func() { o.directly.follow(ctx, o.compare, first, headTimeout, !o.posts()) })
	o.directly.await(ctx, func(s seen) bool { return s.sent() })
	switch h := o.directly.now().head; {
	case h.err != nil && !errors.Is(h.err, errNoAnswer):
		return fmt.Errorf("--compare: %w", plain(h.err))
	case h.err == nil && h.code != http.StatusOK:
		return fmt.Errorf("--compare: it answered %s", h.status)
	}
	return nil
}

// listen opens the stream, and returns when the listening and the probes have ended.
func (o *observation) listen(ctx context.Context, first ask) error {
	listening, stop := context.WithCancel(ctx)
	var reading, probes sync.WaitGroup
	defer reading.Wait()
	defer stop()
	reading.Go(func() {
		defer stop() // a client has given up
		o.main.follow(listening, o.client, first, headTimeout, !o.posts())
	})
	o.main.await(listening, func(m seen) bool { return m.sent() })
	o.stream = o.main.now()
	if unreachable, ok := errors.AsType[*unreachableError](o.stream.err); ok {
		return unreachable
	}
	if err := o.directly.now().err; err != nil && o.stream.err == nil {
		return fmt.Errorf("--compare: %w", err)
	}
	if o.stream.code != http.StatusOK { // which is a finding
		return nil
	}
	if first.header != nil {
		o.cors = o.stream.head
	}
	probing, end := context.WithCancel(ctx)
	defer end()
	if !o.posts() {
		o.probe(probing, &probes)
	}
	o.main.awaitEnough(listening, o.options.For)
	stop()
	reading.Wait()
	o.stream = o.main.now()
	o.main.change(func(m *seen) { m.isOver = true })
	limit := time.AfterFunc(probesEnd, end)
	defer limit.Stop()
	probes.Wait()
	return nil
}

// awaitEnough returns when the stream was listened to for long enough: for d, and
// if it is silent then, until the silence ends or maxSilence of it has passed;
// or when ctx ends.
func (r *record) awaitEnough(ctx context.Context, d time.Duration) {
	if !pause(ctx, d) {
		return
	}
	at := r.now().last
	r.await(ctx, func(s seen) bool { return !s.connected || !s.last.Equal(at) || time.Since(at) >= maxSilence })
}
