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

// launch runs a job whose claim this replica has won. It needs the lock.
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

// work calls the function of the kind. If it panics, the job fails, and the service goes
// on.
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
	sending.Go(func() {
		w.send(func(number uint64, pieces []string) {
			m.insist(ctx, j, tokensMessage, func() message {
				return message{Job: j.id, IsText: true, Run: j.run, Number: number, Pieces: pieces}
			})
		})
	})
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

// insist publishes a message about a job until the journal accepts it, the job is over,
// or ctx ends; once at least. A message that was accepted without a word is skipped by
// its readers when it comes again, by its number.
func (m *Manager) insist(ctx context.Context, j *job, name string, msg func() message) {
	for !j.over.Load() {
		err := m.publish(ctx, name, msg())
		if err == nil || ctx.Err() != nil {
			return
		}
		m.log.Debug().Err(err).Str("job", j.id).Msg("the journal does not accept a message about a job; trying again")
		select {
		case <-time.After(retryPause):
		case <-ctx.Done():
		}
	}
}

func (m *Manager) publishEnd(j *job, s status, reason string) {
	m.insist(m.ctx, j, endMessage, func() message { return m.endOf(j, s, reason) })
}

func (m *Manager) endOf(j *job, s status, reason string) message {
	m.mu.Lock()
	defer m.mu.Unlock()
	return message{Job: j.id, IsText: j.isText, Run: j.run, Number: j.next - 1, Elapsed: j.elapsed(), Status: s, Error: reason}
}
