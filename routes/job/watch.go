package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
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
// first piece of its text. If after is empty or cannot be the id of an event, an
// unknown job is started as one of that kind; otherwise it is reported as failed.
// It fails with ErrSeen, and as Start does.
func (m *Manager) Watch(ctx context.Context, id, after, kind string) (*Watch, error) {
	w, err := m.watchKnown(ctx, id, after)
	if w != nil || err != nil {
		return w, err
	}
	j, err := m.start(ctx, id, kind, Request{})
	if errors.Is(err, ErrRunning) { // another client was faster
		j, err = m.find(id), nil
	}
	if err != nil {
		return nil, err
	}
	return j.watch(after), nil
}

// Peek is Watch for a client that wants to know whether Watch would succeed. It
// starts nothing.
func (m *Manager) Peek(ctx context.Context, id, after string) (*Watch, error) {
	w, err := m.watchKnown(ctx, id, after)
	if w != nil || err != nil {
		return w, err
	}
	if m.Running() >= MaxRunning {
		return nil, ErrTooMany
	}
	if err := m.broker.Err(); err != nil { // a claim could not be published
		return nil, fmt.Errorf("%w: %w", ErrAway, err)
	}
	if err := m.sync(ctx); err != nil { // nor confirmed
		return nil, err
	}
	if j := m.find(id); j != nil { // another replica has just started it
		return j.watch(after), nil
	}
	return unstarted(), nil
}

// watchKnown watches a job that is known, or was. It returns nil if it never was.
func (m *Manager) watchKnown(ctx context.Context, id, after string) (*Watch, error) {
	j, hasSeen := m.find(id), hasSeenEnd(after)
	if hasSeen && !j.beganBefore(after) {
		return nil, ErrSeen
	}
	if !m.isUpToDate(j, after) {
		err := m.sync(ctx)
		if err != nil && hasSeen { // it may be of a later job of this id
			return nil, ErrSeen
		}
		if err != nil && j == nil {
			return nil, err
		}
		j = m.find(id)
	}
	switch {
	case hasSeen && !j.beganBefore(after):
		return nil, ErrSeen
	case j != nil:
		return j.watch(after), nil
	case isPast(after):
		return gone(id, after), nil
	default:
		return nil, nil //nolint:nilnil // an unknown job is no error
	}
}

// isUpToDate reports whether what this replica knows of a job is enough for a
// client, which may have been served by another replica before.
func (m *Manager) isUpToDate(j *job, after string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case j == nil:
		return after == "" // whether it is unknown everywhere, its claim decides
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

// Position is the id after which the watch begins; "" if the job was not started.
func (w *Watch) Position() string { return w.position }

// unstarted is the watch of a job that a HEAD request does not start.
func unstarted() *Watch {
	return &Watch{Subscription: pubsub.NewLog(1, 0, pubsub.ID{}).Subscribe(pubsub.Start{})}
}

// gone is the watch of a job that is no longer known: a gap, and its end.
func gone(id, after string) *Watch {
	last, _ := pubsub.ParseID(after)
	j := newJob(id, "", pubsub.ID{last[0]}, false)
	j.log = pubsub.NewLog(1, 0, j.eventID(doneNumber)) // all its events but the last are lost
	const reason = "this job is no longer known: it ended over a minute ago, or was lost with the process that ran it; start a new one"
	j.end(j.run, 0, failed, reason)
	return newWatch(j.log.Subscribe(pubsub.Start{After: after}))
}

// hasSeenEnd reports whether the id that a client has is that of the last event of
// a job, of this replica or another one, now or in the past.
func hasSeenEnd(after string) bool {
	id, ok := pubsub.ParseID(after)
	return ok && id[1] == doneNumber && isPast(after)
}

// beganBefore reports whether there is a job, and it began before the one of this
// event, which is then another job's.
func (j *job) beganBefore(event string) bool {
	id, _ := pubsub.ParseID(event)
	return j != nil && j.run[0] < id[0]
}

// isPast reports whether the id may have been given out by some replica.
func isPast(after string) bool {
	id, ok := pubsub.ParseID(after)
	return ok && id[0] < math.MaxInt64 && time.UnixMilli(int64(id[0])).Before(time.Now().Add(clockSkew))
}

// clockSkew is how far the clocks of replicas, and that of the broker, may be
// apart.
const clockSkew = time.Minute
