package job

import (
	"context"
	"errors"
	"runtime/debug"
	"time"
)

const (
	// aliveEvery is how often a replica that runs jobs says that it is there.
	aliveEvery = 10 * time.Second
	// deadAfter is how long the others wait before they give its jobs up.
	deadAfter = 3 * aliveEvery
	// retryEnd is the time between two attempts to say that a job has ended.
	retryEnd = 500 * time.Millisecond
)

// launch runs the work of a job that this replica has won. It needs the lock.
func (m *Manager) launch(j *job, work Work) {
	ctx, cancel := context.WithCancel(m.ctx)
	j.cancel = cancel
	m.work.Go(func() {
		err := m.guard(ctx, j, work)
		m.mu.Lock()
		m.active--
		m.mu.Unlock()
		switch {
		case err == nil:
			m.finish(ctx, j, succeeded, "")
		case m.ctx.Err() != nil && errors.Is(err, context.Canceled):
			m.finish(ctx, j, failed, "the replica that ran it was shut down")
		case ctx.Err() != nil && errors.Is(err, context.Canceled):
			m.finish(ctx, j, cancelled, "")
		default:
			m.finish(ctx, j, failed, err.Error())
		}
		cancel()
	})
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
	return work(ctx, func(p Progress) {
		if ctx.Err() != nil {
			return // the job is over, and perhaps forgotten
		}
		err := m.publish(ctx, progressEvent, message{Replica: m.replica, Job: j.id, Run: j.run, Progress: p})
		if err != nil && ctx.Err() == nil { // the next report says more
			m.log.Debug().Err(err).Str("job", j.id).Msg("progress was not reported")
		}
	})
}

// finish says how a job has ended, until the broker takes it, the job is over for
// another reason, or the service ends.
func (m *Manager) finish(ctx context.Context, j *job, s status, reason string) {
	for !j.isOver() {
		err := m.publish(ctx, endEvent, message{Replica: m.replica, Job: j.id, Run: j.run, Status: s, Error: reason})
		if err == nil {
			return
		}
		m.log.Warn().Err(err).Str("job", j.id).Msg("the end of a job was not reported")
		if m.ctx.Err() != nil {
			return // the others will miss this replica
		}
		select {
		case <-time.After(retryEnd):
		case <-m.ctx.Done():
		}
	}
}

// keepWatch says that this replica is there, and looks for others that no longer
// are, until the manager is closed.
func (m *Manager) keepWatch() {
	tick := time.NewTicker(aliveEvery)
	defer tick.Stop()
	for {
		select {
		case <-m.ctx.Done():
			return
		case <-tick.C:
			m.sayAlive()
			m.giveUpDead()
		}
	}
}

func (m *Manager) sayAlive() {
	m.mu.Lock()
	msg := message{Replica: m.replica, UpTo: m.seen}
	for _, j := range m.jobs {
		if j.replica == m.replica && !j.isOver() {
			msg.Runs = append(msg.Runs, j.run)
		}
	}
	m.mu.Unlock()
	if len(msg.Runs) == 0 {
		return
	}
	if err := m.publish(m.ctx, aliveEvent, msg); err != nil && m.ctx.Err() == nil {
		m.log.Debug().Err(err).Msg("the jobs of this replica may be given up by the others")
	}
}

// giveUpDead ends the jobs of replicas that were not heard of for deadAfter. All
// replicas do so; the first one's word is the job's end.
func (m *Manager) giveUpDead() {
	for _, j := range m.orphans() {
		m.log.Warn().Str("job", j.id).Msg("the replica that ran a job is gone")
		const reason = "the replica that ran it is gone"
		err := m.publish(m.ctx, endEvent, message{Replica: m.replica, Job: j.id, Run: j.run, Status: failed, Error: reason})
		if err != nil {
			return // tried again at the next tick
		}
	}
}

func (m *Manager) orphans() (jobs []*job) {
	away := m.broker.Err() != nil
	m.mu.Lock()
	defer m.mu.Unlock()
	running := map[string]bool{}
	for _, j := range m.jobs {
		if j.isOver() || j.replica == m.replica {
			continue
		}
		running[j.replica] = true
		if away { // nobody can be heard
			m.heard[j.replica] = time.Now()
		}
		if time.Since(m.heard[j.replica]) > deadAfter {
			jobs = append(jobs, j)
		}
	}
	for replica := range m.heard {
		if !running[replica] {
			delete(m.heard, replica)
		}
	}
	return jobs
}
