package job

import (
	"context"
	"encoding/json"

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
	Percent int    `json:"percent"`
	Stage   string `json:"stage"`
	Message string `json:"message"`
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

// A job is what this replica knows of a job, wherever it runs. All that changes
// it comes from the broker's log.
type job struct {
	id      string
	run     pubsub.ID          // the event that started it: tells it from earlier jobs of that id
	replica string             // that runs it
	cancel  context.CancelFunc // of its work; nil where another replica runs it

	log     *pubsub.Log
	percent int
	over    chan struct{} // closed just before the last event, whose id is then lastID
	lastID  pubsub.ID
}

func newJob(id, replica string, run, after pubsub.ID) *job {
	return &job{
		id: id, replica: replica, run: run,
		log:  pubsub.NewLog(maxEvents, 0, after),
		over: make(chan struct{}),
	}
}

type progressData struct {
	ID string `json:"id"`
	Progress
	ElapsedMs uint64 `json:"elapsedMs"`
}

type doneData struct {
	ID        string `json:"id"`
	Status    status `json:"status"`
	Error     string `json:"error,omitempty"`
	ElapsedMs uint64 `json:"elapsedMs"`
}

func (j *job) progress(id pubsub.ID, p Progress) {
	j.percent = min(max(p.Percent, j.percent), 100)
	p.Percent = j.percent
	j.append(id, "progress", progressData{j.id, p, j.elapsed(id)})
}

// end appends the terminal event.
func (j *job) end(id pubsub.ID, s status, reason string) {
	j.lastID = id
	close(j.over) // whoever reads the last event must know that it is the last
	j.append(id, "done", doneData{j.id, s, reason, j.elapsed(id)})
	if j.cancel != nil {
		j.cancel()
	}
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

// elapsed is the time from the job's start to an event, in ms, by the ids of
// both: the same on all replicas.
func (j *job) elapsed(id pubsub.ID) uint64 { return id[0] - j.run[0] }

func (j *job) isOver() bool {
	select {
	case <-j.over:
		return true
	default:
		return false
	}
}
