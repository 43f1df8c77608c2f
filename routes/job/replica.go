package job

import (
	"context"
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
	aliveMessage    = "alive"    // Replica runs Runs
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
	Status   string      `json:"status,omitempty"`
	Error    string      `json:"error,omitempty"`
	Runs     []pubsub.ID `json:"runs,omitempty"`
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
	switch name {
	case claimMessage:
		m.readClaim(id, msg)
	case aliveMessage:
		for _, j := range m.jobs {
			if slices.Contains(msg.Runs, j.run) {
				j.heard = time.Now()
			}
		}
	default:
		j := m.running(msg)
		if j == nil {
			return
		}
		j.heard = time.Now()
		switch name {
		case progressMessage:
			j.report(msg)
		case tokensMessage:
			j.pieces(msg)
		case endMessage:
			m.end(j, m.timeOf(id, msg), msg)
		}
	}
}

// newJob adds the job that a message is about, in place of one of that id that is over.
func (m *Manager) newJob(msg message, run pubsub.ID) *job {
	j := newJob(msg.Job, msg.IsText, run, m.timeOf(run, msg))
	m.jobs[j.id] = j
	return j
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
	if m.jobs[msg.Job].isRunning() {
		return
	}
	j := m.newJob(msg, id)
	if msg.Replica != m.replica || m.ctx.Err() != nil {
		return
	}
	if won := m.claims[msg.Claim]; won != nil {
		won(j)
	} else { // it comes too late: the client has the answer that there is no job
		m.tasks.Go(func() { m.publishEnd(j, failed, notStarted) })
	}
}

// running returns the running job that a message is about, or nil if that is over. If
// this replica has missed the claim, the job's events begin with this message here.
func (m *Manager) running(msg message) *job {
	if j := m.jobs[msg.Job]; j != nil {
		switch order := j.run.Compare(msg.Run); {
		case order > 0 || order == 0 && !j.isRunning():
			return nil // a newer job has that id, or this one is over
		case order == 0:
			return j
		case j.isRunning():
			m.end(j, time.Now(), message{Elapsed: j.elapsed(), Status: failed, Error: notHeardOf})
		}
	}
	return m.newJob(msg, msg.Run)
}

const (
	// aliveEvery is how often a replica publishes which jobs it runs.
	aliveEvery = 10 * time.Second
	// deadAfter is how long a job may not be heard of before any replica ends it.
	deadAfter = 3 * aliveEvery
)

// keepAlive publishes which jobs run here, and ends those that are not heard of, until the
// manager is closed. While the journal is away nothing can be heard.
func (m *Manager) keepAlive() {
	tick := time.NewTicker(aliveEvery)
	defer tick.Stop()
	lastAway := time.Now()
	for {
		select {
		case <-m.ctx.Done():
			return
		case <-tick.C:
		}
		if m.journal.Err() != nil {
			lastAway = time.Now()
		}
		var alive message
		for _, j := range m.unfinished(isHere) {
			alive.Runs = append(alive.Runs, j.run)
		}
		if len(alive.Runs) > 0 {
			_ = m.publish(m.ctx, aliveMessage, alive) // again at the next tick
		}
		if time.Since(lastAway) >= deadAfter {
			m.endOrphans(m.ctx, deadAfter, notHeardOf)
		}
	}
}

// EndInterrupted ends the jobs that ran when the only process that has the journal
// ended. Call it when the journal has been read.
func (m *Manager) EndInterrupted(ctx context.Context) { m.endOrphans(ctx, 0, interrupted) }

// endOrphans ends the jobs that do not run here and were not heard of for so long. Every
// replica does so, and the first message counts.
func (m *Manager) endOrphans(ctx context.Context, silence time.Duration, reason string) {
	for _, j := range m.unfinished(func(j *job) bool { return !isHere(j) && time.Since(j.heard) >= silence }) {
		m.log.Warn().Str("job", j.id).Msg(reason)
		if err := m.publish(ctx, endMessage, m.endOf(j, failed, reason)); err != nil {
			return // again at the next tick
		}
	}
}

// unfinished returns the jobs that are not over and match.
func (m *Manager) unfinished(match func(*job) bool) (jobs []*job) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dropEnded()
	for _, j := range m.jobs {
		if j.isRunning() && match(j) {
			jobs = append(jobs, j)
		}
	}
	return jobs
}

func isHere(j *job) bool { return j.cancel != nil }
