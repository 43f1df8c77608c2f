// Package job runs jobs and lets any number of clients watch each. A job is a
// function; it outlives its watchers. Its events are a log, so a watcher that
// comes late or comes back is a cursor like any other.
package job

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"time"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
)

// Work is what a job does. It reports its progress as often as it likes, returns
// when it is done or has failed, and returns ctx.Err() soon after ctx is
// cancelled. The text of its error is shown to clients.
type Work func(ctx context.Context, report func(Progress)) error

// Progress is how far a job is. Percent is 0 to 100; one that is lower than an
// earlier one is raised to it.
type Progress struct {
	Percent int
	Stage   string
	Message string
}

// status is how a job ended.
type status string

const (
	succeeded status = "succeeded"
	failed    status = "failed"
	cancelled status = "cancelled"
)

// maxEvents of a job are kept for those who come late.
const maxEvents = 1024

type job struct {
	id      string
	started time.Time
	cancel  context.CancelFunc
	log     *pubsub.Log
	clock   *clock
	over    chan struct{} // closed just before the last event, whose id is then lastID
	lastID  pubsub.ID

	mu      sync.Mutex // over the order of events, and what follows
	percent int
	ended   bool
}

// clock is shared by all jobs, so that an id names one event of one job.
type clock struct {
	mu sync.Mutex
	pubsub.Clock
}

func (c *clock) next() pubsub.ID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Next()
}

type progressData struct {
	ID        string `json:"id"`
	Percent   int    `json:"percent"`
	Stage     string `json:"stage"`
	Message   string `json:"message"`
	ElapsedMs int64  `json:"elapsedMs"`
}

type doneData struct {
	ID        string `json:"id"`
	Status    status `json:"status"`
	Error     string `json:"error,omitempty"`
	ElapsedMs int64  `json:"elapsedMs"`
}

func (j *job) report(p Progress) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ended {
		return
	}
	j.percent = min(max(p.Percent, j.percent), 100)
	j.append(j.clock.next(), "progress", progressData{j.id, j.percent, p.Stage, p.Message, j.elapsed()})
}

// end appends the terminal event, once; false where there is one already.
func (j *job) end(s status, reason string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ended {
		return false
	}
	j.ended = true
	j.lastID = j.clock.next()
	close(j.over) // whoever reads the last event must know that it is the last
	j.append(j.lastID, "done", doneData{j.id, s, reason, j.elapsed()})
	j.cancel()
	return true
}

func (j *job) append(id pubsub.ID, name string, data any) {
	text, err := json.Marshal(data)
	if err != nil {
		panic(err) // strings and integers always marshal
	}
	frame, err := sse.Event{ID: id.String(), Name: name, Data: text}.Append(nil)
	if err != nil {
		panic(err) // digits and constants are valid
	}
	j.log.Append(id, frame)
}

func (j *job) elapsed() int64 { return time.Since(j.started).Milliseconds() }

func (j *job) isOver() bool {
	select {
	case <-j.over:
		return true
	default:
		return false
	}
}

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
