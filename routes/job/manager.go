package job

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"example.com/sse-demo/pubsub"
)

const (
	// MaxRunning is how many jobs run at once on a replica.
	MaxRunning = 256
	// Keep is how long a job that has ended can still be watched.
	Keep = time.Minute

	// confirmTimeout is how long a replica waits to read what it has published.
	confirmTimeout = time.Second
)

// What Start, Watch and Cancel say no with.
var (
	ErrRunning = errors.New("job: already running")
	ErrTooMany = errors.New("job: too many are running")
	ErrNone    = errors.New("job: not running")
	ErrClosed  = errors.New("job: shutting down")
	ErrAway    = errors.New("job: the broker cannot be reached")
)

// A Manager runs jobs, together with the managers of other replicas that have
// the same broker. It is safe for concurrent use.
type Manager struct {
	log     zerolog.Logger
	broker  pubsub.Broker
	replica string          // the name of this one
	ctx     context.Context //nolint:containedctx // the life of the jobs is the manager's, not a request's
	stop    context.CancelFunc
	work    sync.WaitGroup
	panics  atomic.Int64

	mu     sync.Mutex           // never held while publishing: the broker calls see
	jobs   map[string]*job      // running anywhere, or ended less than Keep ago
	active int                  // here, whose work has not returned
	claims map[uint64]*claim    // of this replica, not yet decided
	last   uint64               // number of the last of them
	heard  map[string]time.Time // when a replica was last heard of
	seen   pubsub.ID            // newest event of the channel
}

// A claim is a wish to run a job.
type claim struct {
	work    Work
	decided chan struct{} // closed when the claim was read in the log
	job     *job          // nil where another runs
}

// NewManager returns a manager without jobs, to be closed after use, and before
// the broker.
func NewManager(log zerolog.Logger, broker pubsub.Broker) *Manager {
	ctx, stop := context.WithCancel(context.Background())
	m := &Manager{
		log: log, broker: broker, replica: rand.Text(), ctx: ctx, stop: stop,
		jobs: map[string]*job{}, claims: map[uint64]*claim{}, heard: map[string]time.Time{},
	}
	broker.Observe(channelName, m.see)
	m.work.Go(m.keepWatch)
	return m
}

// Start runs work as the job of that id, in place of one that has ended. It
// fails with ErrRunning, ErrTooMany, ErrClosed or ErrAway.
func (m *Manager) Start(ctx context.Context, id string, work Work) error {
	_, err := m.start(ctx, id, work)
	return err
}

func (m *Manager) start(ctx context.Context, id string, work Work) (*job, error) {
	number, c, err := m.claim(work)
	if err != nil {
		return nil, err
	}
	err = m.publish(ctx, claimEvent, message{Replica: m.replica, Job: id, Claim: number})
	if err == nil {
		err = c.await()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.claims, number)
	if c.job != nil { // also where the broker has said no, but has it
		return c.job, nil
	}
	m.active--
	switch {
	case err != nil:
		return nil, err
	case m.ctx.Err() != nil:
		return nil, ErrClosed
	default:
		return nil, fmt.Errorf("%w: %s", ErrRunning, id)
	}
}

// claim takes a place among the running jobs.
func (m *Manager) claim(work Work) (uint64, *claim, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx.Err() != nil {
		return 0, nil, ErrClosed
	}
	if m.active >= MaxRunning {
		return 0, nil, fmt.Errorf("%w: %d", ErrTooMany, m.active)
	}
	m.active++
	m.last++
	c := &claim{work: work, decided: make(chan struct{})}
	m.claims[m.last] = c
	return m.last, c, nil
}

// await waits until this replica has read its claim in the log.
func (c *claim) await() error {
	timer := time.NewTimer(confirmTimeout)
	defer timer.Stop()
	select {
	case <-c.decided:
		return nil
	case <-timer.C:
		return fmt.Errorf("%w: a claim was not confirmed in time", ErrAway)
	}
}

// publish is not ended with the request that asks for it: what is half done for
// one client is of interest to others.
func (m *Manager) publish(ctx context.Context, name string, msg message) error {
	data, err := json.Marshal(msg)
	if err != nil {
		panic(err) // strings and integers always marshal
	}
	if _, err := m.broker.Publish(context.WithoutCancel(ctx), channelName, name, data); err != nil {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	return nil
}

// Cancel ends a running job at once for its watchers, and asks its work to
// return. It fails with ErrNone where no job of that id is running, and with
// ErrAway.
func (m *Manager) Cancel(ctx context.Context, id string) error {
	j := m.find(id)
	if j == nil || j.isOver() {
		if err := m.look(ctx); err != nil {
			return err
		}
		j = m.find(id)
	}
	if j == nil || j.isOver() {
		return fmt.Errorf("%w: %s", ErrNone, id)
	}
	return m.publish(ctx, endEvent, message{Replica: m.replica, Job: id, Run: j.run, Status: cancelled})
}

// look brings this replica up to date: another may have done something that it
// has yet to read.
func (m *Manager) look(ctx context.Context) error {
	return m.publish(ctx, lookEvent, message{Replica: m.replica})
}

func (m *Manager) find(id string) *job {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.jobs[id]
}

// Running is the number of jobs whose work has not returned, on this replica.
func (m *Manager) Running() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.active
}

// Panics is how many jobs have panicked.
func (m *Manager) Panics() int64 { return m.panics.Load() }

// Close ends all jobs of this replica and waits for their work to return.
func (m *Manager) Close() {
	m.mu.Lock()
	m.stop()
	m.mu.Unlock()
	m.work.Wait()
}
