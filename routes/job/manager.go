package job

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"example.com/sse-demo/pubsub"
)

const (
	// MaxRunning is how many jobs run at once.
	MaxRunning = 256
	// Keep is how long a job that has ended can still be watched.
	Keep = time.Minute
)

// What Start and Cancel say no with.
var (
	ErrRunning = errors.New("job: already running")
	ErrTooMany = errors.New("job: too many are running")
	ErrNone    = errors.New("job: not running")
	ErrClosed  = errors.New("job: shutting down")
)

// A Manager runs jobs. It is safe for concurrent use.
type Manager struct {
	log    zerolog.Logger
	ctx    context.Context //nolint:containedctx // the life of the jobs is the manager's, not a request's
	stop   context.CancelFunc
	clock  clock
	work   sync.WaitGroup
	panics atomic.Int64
	mu     sync.Mutex
	jobs   map[string]*job // running, or ended less than Keep ago
	active int             // whose work has not returned
}

// NewManager returns a manager without jobs, to be closed after use.
func NewManager(log zerolog.Logger) *Manager {
	ctx, stop := context.WithCancel(context.Background())
	return &Manager{log: log, ctx: ctx, stop: stop, jobs: map[string]*job{}}
}

// Start runs work as the job of that id, in place of one that has ended. It
// fails with ErrRunning, ErrTooMany or ErrClosed.
func (m *Manager) Start(id string, work Work) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err := m.start(id, work)
	return err
}

func (m *Manager) start(id string, work Work) (*job, error) {
	if m.ctx.Err() != nil {
		return nil, ErrClosed
	}
	if old := m.jobs[id]; old != nil && !old.isOver() {
		return nil, fmt.Errorf("%w: %s", ErrRunning, id)
	}
	if m.active >= MaxRunning {
		return nil, fmt.Errorf("%w: %d", ErrTooMany, m.active)
	}
	ctx, cancel := context.WithCancel(m.ctx)
	j := &job{
		id: id, started: time.Now(), cancel: cancel, clock: &m.clock,
		log:  pubsub.NewLog(maxEvents, 0, pubsub.ID{}),
		over: make(chan struct{}),
	}
	j.report(Progress{Stage: "started", Message: "the job has started"})
	m.jobs[id] = j
	m.active++
	m.work.Go(func() { m.run(ctx, j, work) })
	return j, nil
}

func (m *Manager) run(ctx context.Context, j *job, work Work) {
	err := m.guard(ctx, j, work)
	m.mu.Lock()
	m.active--
	m.mu.Unlock()
	switch {
	case err == nil:
		m.end(j, succeeded, "")
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		m.end(j, cancelled, "")
	default:
		m.end(j, failed, err.Error())
	}
}

// guard makes a panic of one job its failure, not that of the service.
func (m *Manager) guard(ctx context.Context, j *job, work Work) (err error) {
	defer func() {
		if p := recover(); p != nil {
			m.panics.Add(1)
			m.log.Error().Str("job", j.id).Interface("panic", p).Bytes("stack", debug.Stack()).Msg("a job's work panicked")
			err = errors.New("internal error")
		}
	}()
	return work(ctx, j.report)
}

func (m *Manager) end(j *job, s status, reason string) {
	if !j.end(s, reason) {
		return
	}
	time.AfterFunc(Keep, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.jobs[j.id] == j {
			delete(m.jobs, j.id)
		}
	})
}

// Cancel ends a running job at once for its watchers, and asks its work to
// return. It fails with ErrNone where no job of that id is running.
func (m *Manager) Cancel(id string) error {
	m.mu.Lock()
	j := m.jobs[id]
	m.mu.Unlock()
	if j == nil || j.isOver() {
		return fmt.Errorf("%w: %s", ErrNone, id)
	}
	m.end(j, cancelled, "")
	return nil
}

// Watch returns a cursor into the events of a job, to be closed after use:
// behind lastEventID, or where that is empty, before its newest event. Where
// nobody has started the job, it is started with work. It fails with ErrOver
// where lastEventID is the job's last event, and as Start does.
func (m *Manager) Watch(id, lastEventID string, work Work) (*Watch, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	j := m.jobs[id]
	if j == nil {
		var err error
		if j, err = m.start(id, work); err != nil {
			return nil, err
		}
	}
	return j.watch(lastEventID)
}

// Running is the number of jobs whose work has not returned.
func (m *Manager) Running() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.active
}

// Panics is how many jobs have panicked.
func (m *Manager) Panics() int64 { return m.panics.Load() }

// Close cancels all jobs and waits for their work to return.
func (m *Manager) Close() {
	m.mu.Lock()
	m.stop()
	m.mu.Unlock()
	m.work.Wait()
}
