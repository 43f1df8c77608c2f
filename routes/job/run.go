package job

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"time"
)

// retryPause is the time between two attempts to publish.
const retryPause = 500 * time.Millisecond

// shutDown is why jobs fail if their process ends.
const shutDown = "the process that ran this job was shut down; start it again"

// errInternal is what clients read of a panic.
var errInternal = errors.New("internal error; the service's log says more")

// launch runs a job that this replica has won. It needs the lock.
func (m *Manager) launch(j *job, kind Kind, r Request) {
	ctx, cancel := context.WithCancel(m.ctx)
	j.cancel = cancel
	m.tasks.Go(func() {
		defer cancel()
		err := m.work(ctx, j, kind, r)
		m.mu.Lock()
		m.active--
		m.mu.Unlock()
		switch {
		case err == nil:
			m.publishEnd(j, succeeded, "")
		case m.ctx.Err() != nil:
			m.publishEnd(j, failed, shutDown)
		case !j.over.Load():
			m.log.Info().Err(err).Str("job", j.id).Msg("a job has failed")
			m.publishEnd(j, failed, err.Error())
		}
	})
}

// work calls the function of the kind. A panic of one job is its failure, not that
// of the service.
func (m *Manager) work(ctx context.Context, j *job, kind Kind, r Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			m.panics.Add(1)
			m.log.Error().Str("job", j.id).Interface("panic", p).Bytes("stack", debug.Stack()).Msg("a job's work panicked")
			err = errInternal
		}
	}()
	if kind.Write == nil {
		return kind.Report(ctx, r, m.reporter(ctx, j))
	}
	w := &writer{ready: make(chan struct{}, 1), next: 1}
	var sending sync.WaitGroup
	sending.Go(func() { w.send(func(number uint64, pieces []string) { m.publishPieces(ctx, j, number, pieces) }) })
	defer sending.Wait()
	defer close(w.ready) // what was written before an error or a panic is published, too
	return kind.Write(ctx, r, w.write)
}

// reporter returns a function that publishes the progress of a job. A report that
// the journal does not accept is dropped: the next one says more.
func (m *Manager) reporter(ctx context.Context, j *job) func(Progress) {
	number := uint64(0)
	return func(p Progress) {
		if ctx.Err() != nil {
			return // the job is over
		}
		number++
		err := m.publish(ctx, progressMessage, message{Job: j.id, Run: j.run, Number: number, Progress: p, Elapsed: j.elapsed()})
		if err != nil && ctx.Err() == nil {
			m.log.Debug().Err(err).Str("job", j.id).Msg("progress was not published")
		}
	}
}

// publishPieces publishes pieces of a text until the journal accepts them or the job
// is over. If it had accepted them before without saying so, readers skip them the
// second time, by their numbers.
func (m *Manager) publishPieces(ctx context.Context, j *job, number uint64, pieces []string) {
	for ctx.Err() == nil {
		err := m.publish(ctx, tokensMessage, message{Job: j.id, IsText: true, Run: j.run, Number: number, Pieces: pieces})
		if err == nil {
			return
		}
		m.log.Debug().Err(err).Str("job", j.id).Msg("pieces of a text were not published yet")
		select {
		case <-time.After(retryPause):
		case <-ctx.Done():
		}
	}
}

// publishEnd publishes how a job has ended, until the journal accepts it, the job is
// over for another reason, or the manager is closed.
func (m *Manager) publishEnd(j *job, s status, reason string) {
	for !j.over.Load() {
		err := m.publish(m.ctx, endMessage, m.endOf(j, s, reason))
		if err == nil {
			return
		}
		m.log.Debug().Err(err).Str("job", j.id).Msg("the end of a job was not published yet")
		if m.ctx.Err() != nil {
			return // the other replicas will miss this one
		}
		select {
		case <-time.After(retryPause):
		case <-m.ctx.Done():
		}
	}
}

func (m *Manager) endOf(j *job, s status, reason string) message {
	m.mu.Lock()
	defer m.mu.Unlock()
	return message{Job: j.id, IsText: j.isText, Run: j.run, Number: j.next - 1, Elapsed: j.elapsed(), Status: s, Error: reason}
}

// Stop ends all jobs of this replica as failed, for their watchers at once, and
// lets no more be started. It does not wait for their work to return.
func (m *Manager) Stop() {
	m.mu.Lock()
	m.stop()
	var own []*job
	for _, j := range m.jobs {
		if j.replica == m.replica && !j.over.Load() {
			own = append(own, j)
		}
	}
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
