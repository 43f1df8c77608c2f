package job

import (
	"context"
	"fmt"
	"io"
	"time"

	"example.com/sse-demo/pubsub"
)

// A Watch is a position in the events of a job: an sse.Source, to be closed after
// use. It ends with the job.
type Watch struct {
	*pubsub.Subscription
	position string
}

// Watch returns the events of a job, to be closed after use. It begins after the
// event whose id is after, or if that is empty, with the job's newest report or the
// first piece of its text. A job that is no longer known is reported as failed to a
// client that has the id of an event. It fails with ErrNone if nobody has started the
// job, with ErrSeen, or with ErrAway.
func (m *Manager) Watch(ctx context.Context, id, after string) (*Watch, error) {
	j, isEnd := m.find(id), m.isEnd(after)
	if isEnd && !j.beganBefore(after) {
		return nil, ErrSeen
	}
	if !m.isUpToDate(j, after) {
		err := m.sync(ctx)
		if err != nil && isEnd { // it may be of a later job of this id
			return nil, ErrSeen
		}
		if err != nil && j == nil {
			return nil, err
		}
		j = m.find(id)
	}
	switch {
	case isEnd && !j.beganBefore(after):
		return nil, ErrSeen
	case j != nil:
		return j.watch(after), nil
	case m.isPast(after):
		return gone(id, after), nil
	default:
		return nil, fmt.Errorf("%w: %s", ErrNone, id)
	}
}

// isUpToDate reports whether what this replica knows of a job is enough for a
// client, which may have been served by another replica before.
func (m *Manager) isUpToDate(j *job, after string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case j == nil:
		return false
	case after == "":
		return !j.over.Load()
	default:
		id, ok := pubsub.ParseID(after)
		return ok && id.Compare(j.eventID(0)) >= 0 && id.Compare(j.eventID(j.next)) < 0
	}
}

// watch begins after the event whose id the client has, or if it has none, with
// the newest report or with the first piece of the text.
func (j *job) watch(after string) *Watch {
	start := pubsub.Start{After: after, Replay: 1}
	if after == "" && j.isText {
		start.After = j.eventID(0).String()
	}
	return newWatch(j.log.Subscribe(start))
}

func newWatch(s *pubsub.Subscription) *Watch {
	return &Watch{s, s.Position()}
}

// Next is that of the subscription, with io.EOF after the last event of the job.
func (w *Watch) Next(frames [][]byte) ([][]byte, error) {
	frames, err := w.Subscription.Next(frames)
	if err == nil && w.Last()[1] == doneNumber {
		return frames, io.EOF
	}
	return frames, err
}

// Position is the id after which the watch begins.
func (w *Watch) Position() string { return w.position }

// gone is the watch of a job that is no longer known: a gap, and its end.
func gone(id, after string) *Watch {
	last, _ := pubsub.ParseID(after)
	j := newJob(id, "", pubsub.ID{last[0]}, false, time.Time{})
	j.log = pubsub.NewLog(1, 0, j.eventID(doneNumber)) // all its events but the last are lost
	const reason = "this job is no longer known: it ended over a minute ago, or was lost with the process that ran it; start a new one"
	j.end(time.Time{}, 0, 0, failed, reason)
	return newWatch(j.log.Subscribe(pubsub.Start{After: after}))
}

// isEnd reports whether the id that a client has is the id of a job's last event, on
// this replica or another one, now or in the past.
func (m *Manager) isEnd(after string) bool {
	id, ok := pubsub.ParseID(after)
	return ok && id[1] == doneNumber && m.isPast(after)
}

// beganBefore reports whether the event belongs to a later run than j.
func (j *job) beganBefore(event string) bool {
	id, _ := pubsub.ParseID(event)
	return j != nil && j.run[0] < id[0]
}

// isPast reports whether the id may have been given out by some replica. The ids of
// the broker go on rising if the clock is set back, so the newest one counts, too.
func (m *Manager) isPast(after string) bool {
	id, ok := pubsub.ParseID(after)
	m.mu.Lock()
	defer m.mu.Unlock()
	latest := max(m.newest[0], uint64(time.Now().UnixMilli())) + uint64(clockSkew.Milliseconds())
	return ok && id[0] < latest
}

// clockSkew is how far the clocks of replicas, and the journal's, may be apart.
const clockSkew = time.Minute
