package job

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"example.com/sse-demo/pubsub"
)

// MaxRunning is how many jobs run at once on a replica.
const MaxRunning = 256

// Why a job cannot be started, watched or cancelled.
var (
	ErrRunning = errors.New("job: a job of that id is running")
	ErrTooMany = errors.New("job: too many are running")
	ErrNone    = errors.New("job: no job of that id is running")
	ErrClosed  = errors.New("job: the manager is closed")
	ErrAway    = errors.New("job: the journal cannot be reached")
	// ErrSeen means that the client has seen the end of the job.
	ErrSeen = errors.New("job: the client has its last event")
)

// A Manager runs jobs, together with the managers of the other replicas that have
// the same journal. It is safe for concurrent use.
type Manager struct {
	// Kinds are what jobs there are, by name. Change it before the first job.
	Kinds map[string]Kind

	log     zerolog.Logger
	journal Journal
	replica string          // the name of this replica
	ctx     context.Context //nolint:containedctx // the work lives as long as the manager, not as a request
	stop    context.CancelFunc
	tasks   sync.WaitGroup
	panics  atomic.Int64
	slots   chan struct{} // has an entry for each job of this replica whose work has not returned, and each claim

	mu         sync.Mutex      // never held while publishing: the journal calls read
	jobs       map[string]*job // running anywhere, or ended and still kept
	ended      []*job          // that are kept, also those with a successor of their id
	endedBytes int
	claims     map[uint64]func(*job) // of this replica that were not decided: what to do if it wins
	lastClaim  uint64                // number of the last of them
	newest     pubsub.ID             // of the newest message that was read
}

// NewManager returns a manager without jobs, to be closed after use, and before
// the journal. Create it before anything is published to the journal.
func NewManager(log zerolog.Logger, journal Journal) *Manager {
	ctx, stop := context.WithCancel(context.Background())
	m := &Manager{
		Kinds: map[string]Kind{BuildKind: {Report: build}, AnswerKind: {Write: cannedAnswer}},
		log:   log, journal: journal, replica: rand.Text(), ctx: ctx, stop: stop,
		slots: make(chan struct{}, MaxRunning), jobs: map[string]*job{}, claims: map[uint64]func(*job){},
	}
	journal.Observe(m.read)
	m.tasks.Go(m.keepAlive)
	return m
}

// Start starts a job, in place of one that has ended, and returns its events from
// the first, to be closed after use. It fails with ErrRunning, ErrTooMany, ErrClosed or
// ErrAway.
func (m *Manager) Start(ctx context.Context, id, kind string, r Request) (*Watch, error) {
	work, ok := m.Kinds[kind]
	if !ok {
		return nil, fmt.Errorf("job: unknown kind %q", kind)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.full()
	if errors.Is(err, ErrTooMany) && m.jobs[id].isRunning() {
		err = ErrRunning // which does not pass when another job ends
	}
	if err != nil {
		return nil, err
	}
	var own *job
	m.slots <- struct{}{} // full has looked
	m.lastClaim++
	claim := m.lastClaim
	m.claims[claim] = func(j *job) { //nolint:contextcheck // the job outlives the request
		own = j
		m.launch(j, work, r)
	}
	m.mu.Unlock()
	err = m.publish(ctx, claimMessage, message{Job: id, Claim: claim, IsText: work.Write != nil})
	m.mu.Lock()
	delete(m.claims, claim)
	if own != nil { // also if the journal has reported an error, but has the claim
		return own.watch(own.eventID(0).String()), nil
	}
	<-m.slots
	switch {
	case err != nil:
		return nil, err
	case m.ctx.Err() != nil:
		return nil, ErrClosed
	default:
		return nil, ErrRunning
	}
}

// full returns why no job can be started: ErrClosed or ErrTooMany. It needs the lock.
func (m *Manager) full() error {
	switch {
	case m.ctx.Err() != nil:
		return ErrClosed
	case len(m.slots) == cap(m.slots):
		return ErrTooMany
	default:
		return nil
	}
}

// Ready returns the error with which no job at all could be started now: ErrClosed,
// ErrTooMany or ErrAway.
func (m *Manager) Ready() error {
	if err := m.journal.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.full()
}

// Cancel ends a running job at once for its watchers, and cancels its work. It
// fails with ErrNone or ErrAway.
func (m *Manager) Cancel(ctx context.Context, id string) error {
	if err := m.sync(ctx); err != nil {
		return err
	}
	found := m.unfinished(func(j *job) bool { return j.id == id })
	if len(found) == 0 {
		return fmt.Errorf("%w: %s", ErrNone, id)
	}
	return m.publish(ctx, endMessage, m.endOf(found[0], cancelled, ""))
}

// Stop ends all jobs of this replica as failed, for their watchers at once, and
// lets no more be started. It does not wait for their work to return.
func (m *Manager) Stop() {
	m.mu.Lock()
	m.stop() // with the lock: no job begins after it
	m.mu.Unlock()
	var ending sync.WaitGroup
	for _, j := range m.unfinished(isHere) {
		ending.Go(func() { m.publishEnd(j, failed, shutDown) })
	}
	ending.Wait()
}

// Close is Stop, and waits for the work of all jobs to return.
func (m *Manager) Close() {
	m.Stop()
	m.tasks.Wait()
}

const (
	// Keep is how long a job that has ended can still be watched.
	Keep = time.Minute
	// keepBytes bounds all jobs that have ended. Beyond it those that ended first
	// are dropped before their time is over.
	keepBytes = 64 << 20
)

// end ends a job, and keeps it for a minute. It needs the lock.
func (m *Manager) end(j *job, at time.Time, msg message) {
	j.end(at, msg)
	m.ended = append(m.ended, j)
	m.endedBytes += j.size
	m.dropEnded()
}

// dropEnded drops the jobs that ended a minute ago, and those that ended first if all
// together are too large. It needs the lock.
func (m *Manager) dropEnded() {
	for len(m.ended) > 0 && (m.endedBytes > keepBytes || time.Since(m.ended[0].ended) >= Keep) {
		j := m.ended[0]
		m.endedBytes -= j.size
		m.ended[0] = nil
		m.ended = m.ended[1:]
		if m.jobs[j.id] == j {
			delete(m.jobs, j.id)
		}
	}
}

// sync reads all that was published before on other replicas.
func (m *Manager) sync(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := m.journal.Sync(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	return nil
}

// Panics is how many jobs have panicked.
func (m *Manager) Panics() int64 { return m.panics.Load() }
