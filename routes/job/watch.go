package job

import (
	"context"
	"errors"
	"io"

	"example.com/sse-demo/pubsub"
)

// ErrOver says that a client has seen the last event of its job.
var ErrOver = errors.New("job: the watcher has seen its end")

// A Watch is a cursor into a job's events.
type Watch struct {
	*pubsub.Subscription
	job *job
}

// watch begins after lastEventID, or with the newest event where that is empty.
func (j *job) watch(lastEventID string) (*Watch, error) {
	if j.isOver() && lastEventID == j.lastID.String() {
		return nil, ErrOver
	}
	return &Watch{j.log.Subscribe(pubsub.Start{After: lastEventID, Replay: 1}), j}, nil
}

// Next is as that of the subscription, with io.EOF after the last event.
func (w *Watch) Next(frames [][]byte) ([][]byte, error) {
	frames, err := w.Subscription.Next(frames)
	if err == nil && w.job.isOver() && w.Last() == w.job.lastID {
		return frames, io.EOF
	}
	return frames, err
}

// Watch returns a cursor into the events of a job, to be closed after use:
// behind lastEventID, or where that is empty, before its newest event. Where
// nobody has started the job, it is started with work. It fails with ErrOver
// where lastEventID is the job's last event, and as Start does.
func (m *Manager) Watch(ctx context.Context, id, lastEventID string, work Work) (*Watch, error) {
	if m.isNews(lastEventID) {
		if err := m.look(ctx); err != nil {
			return nil, err
		}
	}
	j := m.find(id)
	if j == nil {
		var err error
		j, err = m.start(ctx, id, work)
		if errors.Is(err, ErrRunning) { // another was quicker, so now there is one
			j, err = m.find(id), nil
		}
		if err != nil {
			return nil, err
		}
	}
	return j.watch(lastEventID)
}

// isNews reports whether an event, of a client that comes from another replica,
// may be one that this replica has yet to read.
func (m *Manager) isNews(lastEventID string) bool {
	id, ok := pubsub.ParseID(lastEventID)
	m.mu.Lock()
	defer m.mu.Unlock()
	return ok && id.Compare(m.seen) > 0
}
