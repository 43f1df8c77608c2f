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

// MaxRunning is how many jobs run at once on a replica.
const MaxRunning = 256

// Why a job cannot be started, watched or cancelled.
var (
	ErrKind    = errors.New("job: unknown kind")
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

	mu         sync.Mutex      // never held while publishing: the journal calls read
	jobs       map[string]*job // running anywhere, or ended and still kept
	ended      []*job          // that are kept, also those with a successor of their id
	endedBytes int
	dropTimer  *time.Timer
	active     int                  // jobs of this replica whose work has not returned, and claims
	claims     map[uint64]*claim    // of this replica, not yet decided
	lastClaim  uint64               // number of the last of them
	lastHeard  map[string]time.Time // of each replica
	newest     pubsub.ID            // of the newest message that was read
	closed     bool                 // no more tasks may begin
}

// NewManager returns a manager without jobs, to be closed after use, and before
// the journal. Create it before anything is published to the journal.
func NewManager(log zerolog.Logger, journal Journal) *Manager {
	ctx, stop := context.WithCancel(context.Background())
	m := &Manager{
		Kinds: defaultKinds(),
		log:   log, journal: journal, replica: rand.Text(), ctx: ctx, stop: stop,
		jobs: map[string]*job{}, claims: map[uint64]*claim{}, lastHeard: map[string]time.Time{},
	}
	m.dropTimer = time.AfterFunc(Keep, m.dropInTime)
	journal.Observe(m.read)
	m.tasks.Go(m.keepAlive)
	return m
}

// Start starts a job, in place of one that has ended, and returns its events from
// the first, to be closed after use. It fails with ErrKind, ErrRunning, ErrTooMany,
// ErrClosed or ErrAway.
func (m *Manager) Start(ctx context.Context, id, kind string, r Request) (*Watch, error) {
	work, ok := m.Kinds[kind]
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrKind, kind)
	}
	number, c, err := m.claim(work, r)
	if j := m.find(id); errors.Is(err, ErrTooMany) && j != nil && !j.over.Load() {
		return nil, fmt.Errorf("%w: %s", ErrRunning, id) // which does not pass by waiting for another to end
	}
	if err != nil {
		return nil, err
	}
	err = m.publish(ctx, claimMessage, message{Job: id, Claim: number, IsText: work.Write != nil})
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.claims, number)
	if c.job != nil { // also if the journal has reported an error, but has the claim
		return c.job.watch(c.job.eventID(0).String()), nil
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

// A claim is this replica's attempt to start a job. The first claim in the journal wins.
type claim struct {
	kind    Kind
	request Request
	job     *job // nil if another job of that id is running, or the claim was not read
}

// claim takes a place among the running jobs.
func (m *Manager) claim(kind Kind, r Request) (number uint64, c *claim, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.full(); err != nil {
		return 0, nil, err
	}
	m.active++
	m.lastClaim++
	c = &claim{kind: kind, request: r}
	m.claims[m.lastClaim] = c
	return m.lastClaim, c, nil
}

// full returns why no job can be started: ErrClosed or ErrTooMany. It needs the lock.
func (m *Manager) full() error {
	switch {
	case m.ctx.Err() != nil:
		return ErrClosed
	case m.active >= MaxRunning:
		return fmt.Errorf("%w: %d", ErrTooMany, m.active)
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
	j := m.find(id)
	if j == nil || j.over.Load() {
		return fmt.Errorf("%w: %s", ErrNone, id)
	}
	return m.publish(ctx, endMessage, m.endOf(j, cancelled, ""))
}

// Stop ends all jobs of this replica as failed, for their watchers at once, and
// lets no more be started. It does not wait for their work to return.
func (m *Manager) Stop() {
	m.mu.Lock()
	m.stop()
	own := m.own()
	m.mu.Unlock()
	var ending sync.WaitGroup
	for _, j := range own {
		ending.Go(func() { m.publishEnd(j, failed, shutDown) })
	}
	ending.Wait()
}

// Close is Stop, and waits for the work of all jobs to return.
func (m *Manager) Close() {
	m.Stop()
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.dropTimer.Stop()
	m.tasks.Wait()
}

// own returns the running jobs of this replica. It needs the lock.
func (m *Manager) own() (jobs []*job) {
	for _, j := range m.jobs {
		if j.replica == m.replica && !j.over.Load() {
			jobs = append(jobs, j)
		}
	}
	return jobs
}

func (m *Manager) find(id string) *job {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.jobs[id]
}

// publish appends a message to the journal. It goes on if the request that asks for it
// is cancelled, because the result concerns other clients, too.
func (m *Manager) publish(ctx context.Context, name string, msg message) error {
	msg.Replica = m.replica
	data, err := json.Marshal(msg)
	if err != nil {
		panic(err) // strings and integers always marshal
	}
	if err := m.journal.Publish(context.WithoutCancel(ctx), name, data); err != nil {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	return nil
}

// syncTimeout is how long a replica waits until it has read what others have published.
const syncTimeout = time.Second

// sync reads all that was published before on other replicas.
func (m *Manager) sync(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	if err := m.journal.Sync(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	return nil
}

// Running is the number of jobs whose work has not returned, on this replica.
func (m *Manager) Running() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.active
}

// Panics is how many jobs have panicked.
func (m *Manager) Panics() int64 { return m.panics.Load() }
