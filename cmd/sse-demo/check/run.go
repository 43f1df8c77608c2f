package check

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// An observation is everything that was seen of an endpoint.
type observation struct {
	options Options
	head    probe // of the stream that is listened to
	stream  seen
	direct  *seen // of --compare

	fresh, unknown, gzip, resumed probe  // further streams
	lastID                        string // that resumed came back with
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

// observe returns an error for the user if the endpoint could not be tried.
func (s *session) observe(parent context.Context) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	listening, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	compared := make(chan struct{})
	all.Go(func() {
		if err := s.listenDirectly(ctx, listening, compared); err != nil {
			cancel(err)
		}
	})
	answer, err := s.client.open(listening, ask{}, headTimeout)
	s.head = s.newProbe(answer, err)
	if err == nil && answer.StatusCode == http.StatusOK {
		s.listen(ctx, listening, stop, answer, compared, &all)
	} else {
		if err == nil {
			answer.close()
		}
		<-compared // an unreachable --compare is said first
		stop()
	}
	all.Wait()
	s.stream = s.main.now()
	switch {
	case parent.Err() != nil:
		return errors.New("interrupted")
	case context.Cause(ctx) != nil:
		return context.Cause(ctx)
	case err != nil:
		return unreachable(err)
	}
	return nil
}

// listen returns when the listening and the probes have ended.
func (s *session) listen(ctx, listening context.Context, stop func(), answer *answer, compared <-chan struct{}, all *sync.WaitGroup) {
	s.main.change(func(m *seen) { m.asked = answer.asked })
	all.Go(func() {
		defer stop() // a client has given up
		s.client.listen(listening, answer, s.main)
	})
	probing, end := context.WithCancel(ctx)
	defer end()
	var probes sync.WaitGroup
	s.probe(probing, &probes)
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

// listenDirectly listens to the endpoint without the proxy. It closes opened when
// that has answered; an answer is waited for even if the listening ends before.
func (s *session) listenDirectly(ctx, listening context.Context, opened chan<- struct{}) error {
	defer func() {
		if opened != nil {
			close(opened)
		}
	}()
	if s.compare == nil {
		return nil
	}
	answer, err := s.compare.open(ctx, ask{}, headTimeout)
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil && unreachable(err) != nil:
		return fmt.Errorf("--compare: %w", unreachable(err))
	case err != nil:
		return fmt.Errorf("--compare: %w", plain(err))
	case answer.StatusCode != http.StatusOK:
		answer.close()
		return fmt.Errorf("--compare: it answered %s", status(answer))
	}
	close(opened)
	opened = nil
	direct := newRecord(answer.asked)
	defer context.AfterFunc(listening, answer.close)()
	s.compare.listen(listening, answer, direct)
	record := direct.now()
	s.direct = &record
	return nil
}

// newSession checks the options. The error is one for the user.
func newSession(o Options) (*session, error) {
	client, compare, err := o.parse()
	if err != nil {
		return nil, err
	}
	return &session{
		observation: observation{options: o, methods: map[string]probe{}, cookie: client.header.Get("Cookie") != ""},
		client:      client, compare: compare, main: newRecord(time.Now()), over: make(chan struct{}),
	}, nil
}
