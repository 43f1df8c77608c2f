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
		client: client, compare: compare, main: newRecord(time.Now(), ""),
	}, nil
}

// observe listens to the stream and sends the probes. It returns an error for the
// user if the endpoint could not be tried.
func (s *session) observe(parent context.Context) error {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	var direct sync.WaitGroup
	first := s.firstAsk(ctx)
	err := s.listenDirectly(ctx, first, &direct)
	if err == nil {
		err = s.listen(ctx, first)
	}
	cancel()
	direct.Wait()
	if parent.Err() != nil {
		return errors.New("interrupted")
	}
	return err
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

// listenDirectly listens to the endpoint without the proxy until ctx ends, if it
// answers. A head that does not come is an error only if it comes through the proxy.
func (s *session) listenDirectly(ctx context.Context, first ask, listening *sync.WaitGroup) error {
	if s.compare == nil {
		return nil
	}
	answer, err := s.compare.open(ctx, first, headTimeout)
	s.direct = newProbe(answer, err)
	switch {
	case errors.Is(err, errNoAnswer):
		return nil
	case err != nil:
		return fmt.Errorf("--compare: %w", plain(err))
	case answer.StatusCode != http.StatusOK:
		answer.close()
		return fmt.Errorf("--compare: it answered %s", s.direct.status)
	}
	listening.Go(func() {
		r := newRecord(answer.asked, "")
		s.compare.listen(ctx, answer, first, !s.posts, r)
		s.direct.stream = r.now()
	})
	return nil
}

// listen opens the stream, and returns when the listening and the probes have ended.
func (s *session) listen(ctx context.Context, first ask) error {
	listening, stop := context.WithCancel(ctx)
	defer stop()
	answer, err := s.client.open(listening, first, headTimeout)
	s.head = newProbe(answer, err)
	var unreachable *unreachableError
	switch {
	case errors.As(err, &unreachable):
		return err
	case err == nil && s.direct.err != nil:
		answer.close()
		return fmt.Errorf("--compare: %w", s.direct.err)
	case err != nil: // which is a finding
		return nil
	case answer.StatusCode != http.StatusOK:
		answer.close()
		return nil
	}
	if first.header != nil {
		s.cors = s.head
	}
	s.main.change(func(m *seen) { m.asked = answer.asked })
	var reading, probes sync.WaitGroup
	reading.Go(func() {
		defer stop() // a client has given up
		s.client.listen(listening, answer, first, !s.posts, s.main)
	})
	probing, end := context.WithCancel(ctx)
	defer end()
	if !s.posts {
		s.probe(probing, &probes)
	}
	s.main.awaitEnough(listening, s.options.For)
	stop()
	reading.Wait()
	s.stream = s.main.now()
	s.main.change(func(m *seen) { m.isOver = true })
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
	r.await(ctx, func(s seen) bool { return s.connections > 0 }) // the head has come, and may not be noted yet
	at := r.now().last
	r.await(ctx, func(s seen) bool { return !s.connected || !s.last.Equal(at) || time.Since(at) >= maxSilence })
}
