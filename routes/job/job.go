package job

import (
	"context"
	"encoding/json"
	"math"
	"sync/atomic"
	"time"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
)

// status is how a job ended.
type status string

const (
	succeeded status = "succeeded"
	failed    status = "failed"
	cancelled status = "cancelled"
)

const (
	// maxReports are kept of a job that reports its progress. Of a text every
	// piece is kept.
	maxReports = 1024
	// doneNumber is that of the last event of every job.
	doneNumber = math.MaxUint64
	// idsPerJob makes room for the number of an event in the second half of its
	// id, below the sequence number of the job's claim, which is 0 unless more was
	// published in the same millisecond.
	idsPerJob = 1_000_000
	// jobSize and eventSize are counted for a job and for each event, on top of
	// the frames.
	jobSize, eventSize = 1024, 128
)

// A job is what this replica knows of a job, wherever it runs. The lock of the
// manager guards it. Only what is read in the journal changes it.
type job struct {
	id      string
	replica string             // that runs it
	run     pubsub.ID          // of its claim: distinguishes it from earlier jobs of that id
	began   time.Time          // by the clock of this process
	isText  bool               // its events are tokens
	cancel  context.CancelFunc // ends its work; nil if another replica runs it

	log     *pubsub.Log
	next    uint64 // number of its next event
	percent int
	size    int         // bytes that it is counted with
	ended   time.Time   // if over, by the clock of this process
	over    atomic.Bool // also read without the lock
}

func newJob(id, replica string, run pubsub.ID, isText bool, began time.Time) *job {
	kept := maxReports
	if isText {
		kept = MaxPieces + 2 // a gap, and the last event
	}
	j := &job{id: id, replica: replica, run: run, began: began, isText: isText, next: 1, size: jobSize + len(id)}
	j.log = pubsub.NewLog(kept, 0, j.eventID(0))
	return j
}

// eventID is the id of an event. That of number 0 is the position before all.
func (j *job) eventID(number uint64) pubsub.ID {
	if number == doneNumber {
		return pubsub.ID{j.run[0], doneNumber}
	}
	return pubsub.ID{j.run[0], j.run[1]*idsPerJob + number}
}

// elapsed is the time since the start of the job, in ms. It goes into messages, so
// that all replicas say the same, and no clock that is set changes it.
func (j *job) elapsed() int64 { return time.Since(j.began).Milliseconds() }

type progressData struct {
	ID string `json:"id"`
	Progress
	ElapsedMs int64 `json:"elapsedMs"`
}

// progress appends a report, unless it is one that was published twice.
func (j *job) progress(number uint64, p Progress, elapsed int64) {
	if number < j.next {
		return
	}
	j.percent = min(max(p.Percent, j.percent), 100)
	p.Percent = j.percent
	j.next = number + 1
	j.append(number, "progress", progressData{j.id, p, elapsed})
}

type tokenData struct {
	ID    string `json:"id"`
	Index uint64 `json:"index"`
	Text  string `json:"text"`
}

// tokens appends pieces of a text; number is that of the first. Pieces that were
// published twice are skipped, and if some were missed, a gap says so.
func (j *job) tokens(number uint64, pieces []string) {
	j.missed(number-1, number)
	for _, piece := range pieces {
		if number == j.next {
			j.append(number, "token", tokenData{j.id, number - 1, piece})
			j.next++
		}
		number++
	}
}

// missed appends a gap if pieces up to the one with number last were missed. Next
// is the number of the event that follows.
func (j *job) missed(last, next uint64) {
	if last >= j.next {
		j.appendFrame(last, sse.AppendGap(nil, j.eventID(j.next-1).String(), j.eventID(next).String()))
		j.next = last + 1
	}
}

type doneData struct {
	ID        string  `json:"id"`
	Status    status  `json:"status"`
	Error     string  `json:"error,omitempty"`
	ElapsedMs int64   `json:"elapsedMs"`
	Tokens    *uint64 `json:"tokens,omitempty"` // only of a text
}

// end appends the last event and ends the work. Before it there were as many events
// as number says, or more.
func (j *job) end(at time.Time, number uint64, elapsed int64, s status, reason string) {
	data := doneData{ID: j.id, Status: s, Error: reason, ElapsedMs: elapsed}
	if j.isText {
		j.missed(number, doneNumber)
		tokens := j.next - 1
		data.Tokens = &tokens
	}
	j.ended = at
	j.over.Store(true)
	j.append(doneNumber, "done", data)
	if j.cancel != nil {
		j.cancel()
	}
}

func (j *job) append(number uint64, name string, data any) {
	text, err := json.Marshal(data)
	if err != nil {
		panic(err) // strings and integers always marshal
	}
	j.appendFrame(number, sse.MustFrame(sse.Event{ID: j.eventID(number).String(), Name: name, Data: text}))
}

func (j *job) appendFrame(number uint64, frame []byte) {
	j.log.Append(j.eventID(number), frame)
	j.size += eventSize + len(frame)
}
