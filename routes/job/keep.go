package job

import "time"

const (
	// Keep is how long a job that has ended can still be watched.
	Keep = time.Minute
	// keepBytes bounds all jobs that have ended. Beyond it those that ended first
	// are dropped before their time is over.
	keepBytes = 64 << 20
)

// end ends a job, which is dropped later.
func (m *Manager) end(j *job, at time.Time, number uint64, elapsed int64, s status, reason string) {
	j.end(at, number, elapsed, s, reason)
	m.ended = append(m.ended, j)
	m.endedBytes += j.size
	m.dropEnded()
}

// dropEnded drops the jobs whose time is over, and more, in the order of their
// ends, if all together are too large.
func (m *Manager) dropEnded() {
	for len(m.ended) > 0 {
		j := m.ended[0]
		left := Keep - time.Since(j.ended)
		if left > 0 && m.endedBytes <= keepBytes {
			m.dropTimer.Reset(left)
			return
		}
		m.endedBytes -= j.size
		m.ended[0] = nil
		m.ended = m.ended[1:]
		if m.jobs[j.id] == j {
			delete(m.jobs, j.id)
		}
	}
}

// dropInTime is called by the timer.
func (m *Manager) dropInTime() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dropEnded()
}
