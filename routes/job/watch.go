package job

import (
	"context"
	"fmt"
	"io"
	"time"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
)

// A Watch is a position in the events of a job: an sse.Source, to be closed after
// use. It ends with the job.
type Watch struct {
	pubsub.Subscription
	over bool
}

// Watch returns the events of a job, to be closed after use. It begins after the
// event whose id is after, or if that is empty, with the job's newest report or the
// first piece of its text. A job that is no longer known is reported as failed to a
// client that has the id of an event. It fails with ErrNone if nobody has started the
// job, with ErrSeen, or with ErrAway.
func (m *Manager) Watch(ctx context.Context, id, after string) (*Watch, error) {
	err := m.sync(ctx) // what another replica has told the client may be news to this one
	j, seen, isPast := m.find(id), false, m.isPast(after)
	if event, _ := pubsub.ParseID(after); isPast && event[1] == doneNumber {
		seen = j == nil || j.run[0] >= event[0] // an older run was not watched to this end
	}
	switch {
	case seen:
		return nil, ErrSeen
	case j != nil:
		return j.watch(after), nil
	case err != nil:
		return nil, err
	case isPast:
		return gone(id, after), nil
	default:
		return nil, fmt.Errorf("%w: %s", ErrNone, id)
	}
}

// watch begins after the event whose id the client has, or if it has none, with
// the newest report or with the first piece of the text.
func (j *job) watch(after string) *Watch {
	start := pubsub.Start{After: after, Replay: 1}
	if after == "" && j.isText {
		start.After = j.eventID(0).String()
	}
	return &Watch{Subscription: j.log.Subscribe(start)}
}

// Next implements [sse.Source], with io.EOF after the last event of the job.
func (w *Watch) Next(frames [][]byte) ([][]byte, error) {
	had := len(frames)
	frames, err := w.Subscription.Next(frames)
	if n := len(frames); n > had {
		id, _ := pubsub.ParseID(string(sse.FrameID(frames[n-1])))
		w.over = id[1] == doneNumber
	}
	if err == nil && w.over {
		return frames, io.EOF
	}
	return frames, err
}

// gone is the watch of a job that is no longer known: a gap, and its end.
func gone(id, after string) *Watch {
	last, _ := pubsub.ParseID(after)
	j := newJob(message{Job: id}, pubsub.ID{last[0]}, time.Time{})
	j.log = pubsub.NewLog(1, j.eventID(doneNumber)) // all its events but the last are lost
	const reason = "this job is no longer known: it ended over a minute ago, or was lost with the process that ran it; start a new one"
	j.end(time.Time{}, message{Status: failed, Error: reason})
	return &Watch{Subscription: j.log.Subscribe(pubsub.Start{After: after})}
}

// isPast reports whether some replica may have given out the id. The ids of the journal
// go on rising if the clock is set back, so the newest of them counts, too.
func (m *Manager) isPast(after string) bool {
	id, ok := pubsub.ParseID(after)
	m.mu.Lock()
	defer m.mu.Unlock()
	latest := max(m.newest[0], uint64(time.Now().UnixMilli())) + uint64(clockSkew.Milliseconds())
	return ok && id[0] < latest
}

// clockSkew is how far the clocks of replicas, and the journal's, may be apart.
const clockSkew = time.Minute
