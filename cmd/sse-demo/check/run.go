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
func Run(ctx context.Context, o Options, stdout, stderr io.Writer) error {
	log.SetOutput(io.Discard) // net/http's, to which it writes what a broken server sends
	s, err := newSession(o)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotTried, err)
	}
	stop := func() {}
	if isTerminal(stderr) {
		stop = s.showProgress(stderr)
	}
	err = s.observe(ctx)
	stop()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotTried, err)
	}
	report := s.judge()
	if o.JSON {
		err = report.writeJSON(stdout)
	} else {
		err = report.writeText(stdout, isTerminal(stdout) && os.Getenv("NO_COLOR") == "")
	}
	if err != nil {
		return fmt.Errorf("%w: the report could not be written: %w", ErrNotTried, err)
	}
	if report.has(isFail) || o.Strict && report.has(isWarn) {
		return ErrFailed
	}
	return nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// An observation is everything that was seen of an endpoint.
type observation struct {
	options Options
	posts   bool // the stream answers a request with a body
	method  string
	head    probe // of the stream
	stream  seen
	direct  probe // the stream without the proxy, with --compare

	fresh, unknown, gzip, resumed probe  // further streams
	lastID                        string // that resumed has sent
	headMethod                    probe
	cors, otherCORS, preflight    probe
	unsafe                        []string         // the names of --header that need the preflight
	cookie                        bool             // is among --header
	methods                       map[string]probe // of --all-methods
}

// A session makes an observation.
type session struct {
	observation
	client, compare *client
	main            *record
	over            chan struct{} // closed when the listening has ended
}

// newSession checks the options. The error is one for the user.
func newSession(o Options) (*session, error) {
	client, compare, err := o.clients()
	if err != nil {
		return nil, err
	}
	return &session{
		observation: observation{
			options: o, posts: client.body != nil, method: client.method,
			methods: map[string]probe{}, cookie: client.header.Get("Cookie") != "",
		},
		client: client, compare: compare, main: newRecord(time.Now(), ""), over: make(chan struct{}),
	}, nil
}

// observe listens to the stream and sends the probes. It returns an error for the
// user if the endpoint could not be tried.
func (s *session) observe(parent context.Context) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	listening, stop := context.WithCancel(ctx)
	defer stop()
	first := s.firstAsk(ctx)
	var all sync.WaitGroup
	compared := make(chan struct{})
	all.Go(func() {
		if err := s.listenDirectly(ctx, listening, first, compared); err != nil {
			cancel(err)
		}
	})
	answer, err := s.client.open(listening, first, headTimeout)
	s.head = newProbe(answer, err)
	if first.header != nil {
		s.cors = s.head
	}
	switch {
	case err == nil && answer.StatusCode == http.StatusOK:
		s.listen(ctx, listening, stop, answer, first, compared, &all)
	case err == nil:
		answer.close()
	}
	<-compared // an unreachable --compare is an error, whatever the head was
	stop()
	all.Wait()
	s.stream = s.main.now()
	var unreachable *unreachableError
	switch {
	case parent.Err() != nil:
		return errors.New("interrupted")
	case context.Cause(ctx) != nil:
		return context.Cause(ctx)
	case errors.As(err, &unreachable):
		return err
	case errors.Is(s.direct.err, errNoAnswer) && s.head.err == nil:
		return fmt.Errorf("--compare: %w", s.direct.err)
	}
	return nil
}

// firstAsk returns the request that opens the stream. One with a body is sent once
// only, so it has the Origin, unless a browser would not send it: after an OPTIONS
// request that forbids it.
func (s *session) firstAsk(ctx context.Context) ask {
	first := ask{}
	if !s.posts {
		return first
	}
	first.encoding = s.client.header.Get("Accept-Encoding")
	if s.options.Origin != "" {
		s.probePreflight(ctx, headTimeout)
		if s.preflightRefusal() == "" {
			first.header = http.Header{"Origin": {string(s.options.Origin)}}
		}
	}
	return first
}

// listen returns when the listening and the probes have ended.
func (s *session) listen(
	ctx, listening context.Context, stop func(), answer *answer, first ask, compared <-chan struct{}, all *sync.WaitGroup,
) {
	s.main.change(func(m *seen) { m.asked = answer.asked })
	all.Go(func() {
		defer stop() // a client has given up
		s.client.listen(listening, answer, first, !s.posts, s.main)
	})
	probing, end := context.WithCancel(ctx)
	defer end()
	var probes sync.WaitGroup
	if !s.posts {
		s.probe(probing, &probes)
	}
	select { // there is nothing to compare with before
	case <-compared:
	case <-listening.Done():
	}
	s.main.awaitEnough(listening, s.options.For)
	stop()
	close(s.over)
	limit := time.AfterFunc(probesEnd, end)
	defer limit.Stop()
	probes.Wait()
}

// awaitEnough returns when the stream was listened to for long enough: for d, and
// if it is silent then, until the silence ends or maxSilence of it has passed;
// or when ctx ends.
func (r *record) awaitEnough(ctx context.Context, d time.Duration) {
	if !pause(ctx, d) {
		return
	}
	for r.now().connections == 0 { // the head has come, and is not noted yet
		select {
		case <-r.changed:
		case <-ctx.Done():
			return
		}
	}
	for at := r.now().last; ; {
		s := r.now()
		if !s.connected || !s.last.Equal(at) {
			return
		}
		timer := time.NewTimer(maxSilence - time.Since(at))
		select {
		case <-r.changed:
		case <-timer.C:
			return
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// listenDirectly listens to the endpoint without the proxy. It closes opened when
// that has answered; it waits for the answer even if the listening ends before.
func (s *session) listenDirectly(ctx, listening context.Context, first ask, opened chan<- struct{}) error {
	if s.compare == nil {
		close(opened)
		return nil
	}
	answer, err := s.compare.open(ctx, first, headTimeout)
	s.direct = newProbe(answer, err)
	close(opened)
	switch {
	case ctx.Err() != nil || errors.Is(err, errNoAnswer): // observe returns the latter
		return nil
	case err != nil:
		return fmt.Errorf("--compare: %w", plain(err))
	case answer.StatusCode != http.StatusOK:
		answer.close()
		return fmt.Errorf("--compare: it answered %s", s.direct.status)
	}
	direct := newRecord(answer.asked, "")
	defer context.AfterFunc(listening, answer.close)()
	s.compare.listen(listening, answer, first, !s.posts, direct)
	s.direct.stream = direct.now()
	return nil
}
