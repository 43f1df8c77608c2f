package job

import (
	"context"
	"time"
)

const (
	// aliveEvery is how often a replica that runs jobs publishes that it is alive.
	aliveEvery = 10 * time.Second
	// deadAfter is how long the others wait for that before they end its jobs.
	deadAfter = 3 * aliveEvery
)

const interrupted = "the service ended while this job ran; start it again"

// EndInterrupted ends the jobs that ran when the only process that has the journal
// ended. Call it when the journal has been read.
func (m *Manager) EndInterrupted(ctx context.Context) {
	for _, j := range m.orphans(0) {
		if err := m.publish(ctx, endMessage, m.endOf(j, failed, interrupted)); err != nil {
			m.log.Error().Err(err).Str("job", j.id).Msg("a job that was interrupted cannot be ended yet")
		}
	}
}

const replicaGone = "the replica that ran this job is gone; start it again"

// keepAlive publishes that this replica is alive, and ends the jobs of replicas that are
// not, until the manager is closed.
func (m *Manager) keepAlive() {
	tick := time.NewTicker(aliveEvery)
	defer tick.Stop()
	for {
		select {
		case <-m.ctx.Done():
			return
		case <-tick.C:
			m.publishAlive()
			m.endOrphans()
		}
	}
}

func (m *Manager) publishAlive() {
	m.mu.Lock()
	msg := message{UpTo: m.newest}
	for _, j := range m.own() {
		msg.Runs = append(msg.Runs, j.run)
	}
	m.mu.Unlock()
	if len(msg.Runs) == 0 {
		return
	}
	if err := m.publish(m.ctx, aliveMessage, msg); err != nil && m.ctx.Err() == nil {
		m.log.Debug().Err(err).Msg("the other replicas may end the jobs of this one")
	}
}

// endOrphans ends the jobs of replicas that were not heard of for deadAfter. Every
// replica does so, and the first message counts.
func (m *Manager) endOrphans() {
	for _, j := range m.orphans(deadAfter) {
		m.log.Warn().Str("job", j.id).Msg("the replica that ran a job is gone")
		err := m.publish(m.ctx, endMessage, m.endOf(j, failed, replicaGone))
		if err != nil {
			return // again at the next tick
		}
	}
}

// orphans are the jobs of replicas that were not heard of for so long.
func (m *Manager) orphans(silence time.Duration) (jobs []*job) {
	away := m.journal.Err() != nil
	m.mu.Lock()
	defer m.mu.Unlock()
	running := map[string]bool{}
	for _, j := range m.jobs {
		if j.over.Load() || j.replica == m.replica {
			continue
		}
		running[j.replica] = true
		if away { // no replica can be heard
			m.lastHeard[j.replica] = time.Now()
		}
		if time.Since(m.lastHeard[j.replica]) >= silence {
			jobs = append(jobs, j)
		}
	}
	for replica := range m.lastHeard {
		if !running[replica] {
			delete(m.lastHeard, replica)
		}
	}
	return jobs
}
