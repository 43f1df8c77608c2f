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
type Watch struct{ pubsub.Subscription }

// Watch returns the events of a job, to be closed after use. It begins after the
// event whose id is after, or if that is empty, with the job's newest report or the
// first piece of its text. A job that is no longer known is reported as failed to a
// client that has the id of an event. It fails with ErrNone if nobody has started the
// job, with ErrSeen, or with ErrAway.
func (m *Manager) Watch(ctx context.Context, id, after string) (*Watch, error) {
	err := m.sync(ctx) // this replica may not have read yet what another one has sent to the client
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dropEnded()
	j := m.jobs[id]
	event, isPast := m.parse(after)
	switch {
	case isPast && event[1] == doneNumber && (j == nil || j.run[0] >= event[0]): // not the end of an older run
		return nil, ErrSeen
	case j != nil:
		return j.watch(after), nil
	case err != nil:
		return nil, err
	case isPast:
		return gone(id, event), nil
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
	return &Watch{j.log.Subscribe(start)}
}

// Next implements [sse.Source], with io.EOF after the last event of the job.
func (w *Watch) Next(frames [][]byte) ([][]byte, error) {
	frames, err := w.Subscription.Next(frames)
	if id, _ := pubsub.ParseID(w.Position()); id[1] == doneNumber {
		err = io.EOF
	}
	return frames, err
}

// gone is the watch of a job that is no longer known, after one of its events: a gap, and
// its end.
func gone(id string, event pubsub.ID) *Watch {
	j := newJob(id, false, pubsub.ID{event[0]}, time.Time{})
	j.log = pubsub.NewLog(1, j.eventID(doneNumber)) // all its events but the last are lost
	j.end(time.Time{}, message{Status: failed, Error: notKnown})
	return &Watch{j.log.Subscribe(pubsub.Start{After: event.String()})}
}

// clockSkew is how far the clocks of replicas, and the journal's, may be apart.
const clockSkew = time.Minute

// parse parses the id of an event, and reports whether some replica may have given it out.
// If the clock is set back, the ids of the journal go on rising, so its newest counts, too.
// It needs the lock.
func (m *Manager) parse(after string) (event pubsub.ID, isPast bool) {
	event, ok := pubsub.ParseID(after)
	latest := max(m.newest[0], uint64(time.Now().UnixMilli())) + uint64(clockSkew.Milliseconds())
	return event, ok && event[0] < latest
}
