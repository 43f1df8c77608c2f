package job

import (
	"encoding/json"
	"slices"
	"time"

	"example.com/sse-demo/pubsub"
)

// Names of the messages in the journal.
const (
	claimMessage    = "claim"    // Replica wants to run Job
	progressMessage = "progress" // of Job's Run
	tokensMessage   = "tokens"   // pieces of the text of Job's Run
	endMessage      = "end"      // of Job's Run
	aliveMessage    = "alive"    // of all jobs claimed up to UpTo, Replica runs Runs and no others
)

// A message is the data of an entry of the journal. Its name says which fields are set.
type message struct {
	Replica  string      `json:"replica"`
	Job      string      `json:"job,omitempty"`
	Claim    uint64      `json:"claim,omitempty"` // numbers the claims of a replica
	IsText   bool        `json:"isText,omitempty"`
	Run      pubsub.ID   `json:"run,omitzero"`
	Number   uint64      `json:"number,omitempty"` // of the progress or the first token, from 1; before an end, how many there were
	Progress Progress    `json:"progress,omitzero"`
	Elapsed  int64       `json:"elapsedMs,omitempty"` // since the start, at a progress or an end
	Pieces   []string    `json:"pieces,omitempty"`
	Status   status      `json:"status,omitempty"`
	Error    string      `json:"error,omitempty"`
	Runs     []pubsub.ID `json:"runs,omitempty"`
	UpTo     pubsub.ID   `json:"upTo,omitzero"`
}

// read applies a message. The journal calls it for each, in order.
func (m *Manager) read(id pubsub.ID, name string, data []byte) {
	var msg message
	if err := json.Unmarshal(data, &msg); err != nil {
		m.log.Error().Err(err).Stringer("id", id).Msg("a message about jobs is malformed; it is skipped")
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.newest = id
	m.lastHeard[msg.Replica] = time.Now()
	switch name {
	case claimMessage:
		m.readClaim(id, msg)
		return
	case aliveMessage:
		m.readAlive(msg)
		return
	}
	j := m.running(msg)
	if j == nil {
		return
	}
	switch name {
	case progressMessage:
		j.report(msg)
	case tokensMessage:
		j.pieces(msg)
	case endMessage:
		m.end(j, m.timeOf(id, msg), msg)
	}
}

// timeOf returns when a message was published, by the clock of this process: now for
// a message of this replica, and otherwise by its id. Later settings of the clock do
// not change it.
func (m *Manager) timeOf(id pubsub.ID, msg message) time.Time {
	now := time.Now()
	if msg.Replica == m.replica {
		return now
	}
	age := now.Sub(time.UnixMilli(int64(id[0])))
	return now.Add(-max(age, 0))
}

// readClaim gives the job to the replica, unless one of that id is running.
func (m *Manager) readClaim(id pubsub.ID, msg message) {
	if old := m.jobs[msg.Job]; old != nil && !old.over.Load() {
		return
	}
	j := newJob(msg, id, m.timeOf(id, msg))
	m.jobs[msg.Job] = j
	if msg.Replica != m.replica || m.closed {
		return
	}
	own := m.claims[msg.Claim]
	if own == nil || m.ctx.Err() != nil { // it comes too late: the client was told that there is no job
		m.tasks.Go(func() { m.publishEnd(j, failed, notStarted) })
		return
	}
	own.job = j
	m.launch(j, own.kind, own.request)
}

const notStarted = "the service could not start this job; start it again"

// running returns the running job that a message is about, or nil if that is over. If
// this replica has missed the claim, the job's events begin with this message here.
func (m *Manager) running(msg message) *job {
	j := m.jobs[msg.Job]
	if j != nil {
		order, isOver := j.run.Compare(msg.Run), j.over.Load()
		switch {
		case order > 0 || order == 0 && isOver:
			return nil // a newer job has that id, or this one is over
		case order == 0:
			return j
		case !isOver:
			m.endMissed(j)
		}
	}
	j = newJob(msg, msg.Run, m.timeOf(msg.Run, msg))
	m.jobs[msg.Job] = j
	return j
}

// endMissed ends a job whose end this replica has not received, because the journal has
// lost it.
func (m *Manager) endMissed(j *job) {
	m.end(j, time.Now(), message{Elapsed: j.elapsed(), Status: failed, Error: "the end of this job was not received"})
}

// readAlive ends jobs whose end this replica has missed.
func (m *Manager) readAlive(msg message) {
	for _, j := range m.jobs {
		if j.replica == msg.Replica && !j.over.Load() && j.run.Compare(msg.UpTo) <= 0 && !slices.Contains(msg.Runs, j.run) {
			m.endMissed(j)
		}
	}
}

const (
	// Keep is how long a job that has ended can still be watched.
	Keep = time.Minute
	// keepBytes bounds all jobs that have ended. Beyond it those that ended first
	// are dropped before their time is over.
	keepBytes = 64 << 20
)

// end ends a job, and keeps it for a minute.
func (m *Manager) end(j *job, at time.Time, msg message) {
	j.end(at, msg)
	m.ended = append(m.ended, j)
	m.endedBytes += j.size
	m.dropEnded()
}

// dropEnded drops the jobs that ended a minute ago, and those that ended first if all
// together are too large.
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
