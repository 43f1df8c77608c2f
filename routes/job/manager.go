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
	ErrAway    = errors.New("job: the broker cannot be reached")
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
	replica string          // the name of this one
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

// Cancel ends a running job at once for its watchers, and cancels its work. It
// fails with ErrNone or ErrAway.
func (m *Manager) Cancel(ctx context.Context, id string) error {
	isRunning := func(j *job) bool { return j != nil && !j.over.Load() }
	j := m.find(id)
	if !isRunning(j) {
		if err := m.sync(ctx); err != nil {
			return err
		}
		j = m.find(id)
	}
	if !isRunning(j) {
		return fmt.Errorf("%w: %s", ErrNone, id)
	}
	return m.publish(ctx, endMessage, m.endOf(j, cancelled, ""))
}

func (m *Manager) find(id string) *job {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.jobs[id]
}

// publish is not ended with the request that asks for it, because what is half
// done for one client is of interest to others.
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

// sync reads all that was published before on other replicas.
func (m *Manager) sync(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
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
