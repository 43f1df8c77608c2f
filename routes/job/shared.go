package job

import (
	"encoding/json"
	"slices"
	"time"

	"example.com/sse-demo/pubsub"
)

// channelName is the channel of the broker that jobs go through.
const channelName = "_jobs"

// Names of its events.
const (
	claimEvent    = "claim"    // Replica wants to run Job
	progressEvent = "progress" // of Job's Run
	endEvent      = "end"      // of Job's Run
	aliveEvent    = "alive"    // Replica runs Runs, and no other that was claimed up to UpTo
	lookEvent     = "look"     // nothing; who has read it has read all before it
)

// A message is the data of such an event; which fields are set depends on its
// name.
type message struct {
	Replica  string      `json:"replica,omitempty"`
	Job      string      `json:"job,omitempty"`
	Claim    uint64      `json:"claim,omitempty"` // a number of the replica's, to know its claim by
	Run      pubsub.ID   `json:"run,omitzero"`
	Progress Progress    `json:"progress,omitzero"`
	Status   status      `json:"status,omitempty"`
	Error    string      `json:"error,omitempty"`
	Runs     []pubsub.ID `json:"runs,omitempty"`
	UpTo     pubsub.ID   `json:"upTo,omitzero"`
}

// see takes in an event of the channel. The broker calls it in the order of its
// log.
func (m *Manager) see(id pubsub.ID, name string, data []byte) {
	var msg message
	if err := json.Unmarshal(data, &msg); err != nil {
		m.log.Error().Err(err).Stringer("id", id).Msg("an event of the jobs' channel makes no sense; it is skipped")
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = id
	m.heard[msg.Replica] = time.Now()
	switch name {
	case claimEvent:
		m.seeClaim(id, msg)
	case progressEvent:
		if j := m.known(id, msg); j != nil {
			j.progress(id, msg.Progress)
		}
	case endEvent:
		if j := m.known(id, msg); j != nil {
			m.end(j, id, msg.Status, msg.Error)
		}
	case aliveEvent:
		m.seeAlive(id, msg)
	}
}

// seeClaim gives the job to the replica, unless it is running.
func (m *Manager) seeClaim(id pubsub.ID, msg message) {
	var mine *claim
	if msg.Replica == m.replica {
		if mine = m.claims[msg.Claim]; mine != nil {
			defer close(mine.decided)
			delete(m.claims, msg.Claim)
		}
	}
	if old := m.jobs[msg.Job]; old != nil && !old.isOver() {
		return
	}
	j := newJob(msg.Job, msg.Replica, id, id.Previous())
	m.jobs[msg.Job] = j
	j.progress(id, Progress{Stage: "started", Message: "the job has started"})
	switch {
	case msg.Replica != m.replica || m.ctx.Err() != nil:
	case mine != nil:
		mine.job = j
		m.launch(j, mine.work)
	default: // who made the claim was told that it failed
		m.work.Go(func() { m.finish(m.ctx, j, failed, "the broker could not be reached when the job was to start") })
	}
}

// known is the running job that an event is about. One whose beginning this
// replica has missed is taken up in the middle.
func (m *Manager) known(id pubsub.ID, msg message) *job {
	j := m.jobs[msg.Job]
	switch {
	case j != nil && j.run == msg.Run:
		if j.isOver() {
			return nil
		}
		return j
	case j != nil && j.run.Compare(msg.Run) > 0 || msg.Replica == "":
		return nil // a straggler
	}
	if j != nil && !j.isOver() {
		m.end(j, id, failed, "its end was not heard of")
	}
	j = newJob(msg.Job, msg.Replica, msg.Run, id)
	m.jobs[msg.Job] = j
	return j
}

// seeAlive ends jobs whose end this replica has missed.
func (m *Manager) seeAlive(id pubsub.ID, msg message) {
	for _, j := range m.jobs {
		if j.replica == msg.Replica && !j.isOver() && j.run.Compare(msg.UpTo) <= 0 && !slices.Contains(msg.Runs, j.run) {
			m.end(j, id, failed, "its end was not heard of")
		}
	}
}

// end appends the last event of a job and forgets the job Keep later.
func (m *Manager) end(j *job, id pubsub.ID, s status, reason string) {
	j.end(id, s, reason)
	time.AfterFunc(Keep-age(id), func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.jobs[j.id] == j {
			delete(m.jobs, j.id)
		}
	})
}

// age is how long ago an event was, by its id.
func age(id pubsub.ID) time.Duration {
	return time.Since(time.UnixMilli(int64(id[0])))
}
