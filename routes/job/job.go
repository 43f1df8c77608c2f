package job

import (
	"context"
	"encoding/json"
	"math"
	"time"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
)

// How a job ended.
const (
	succeeded = "succeeded"
	failed    = "failed"
	cancelled = "cancelled"
)

// Why a job failed, if its work does not say it.
const (
	notStarted  = "the service could not start this job; start it again"
	interrupted = "the service ended while this job ran; start it again"
	shutDown    = "the process that ran this job was shut down; start it again"
	notHeardOf  = "the replica that ran this job is gone, or its end was lost; start it again"
	notKnown    = "this job is no longer known: it ended over a minute ago, or was lost with the process that ran it; start a new one"
	panicked    = "internal error; the service's log says more"
)

const (
	// maxEvents are kept of a job: every piece of a text, a gap, and the last event.
	maxEvents = MaxPieces + 2
	// doneNumber is the number of every job's last event.
	doneNumber = math.MaxUint64
	// idsPerJob is the room for the number of an event in the second half of its id,
	// below the sequence number of the job's claim.
	idsPerJob = 1_000_000
	// jobSize and eventSize are counted for a job and for each event, on top of
	// the frames.
	jobSize, eventSize = 1024, 128
)

// A job is what this replica knows of a job, wherever it runs. The lock of the
// manager guards it. Only what is read in the journal changes it.
type job struct {
	id     string
	run    pubsub.ID          // of its claim: distinguishes it from earlier jobs of that id
	began  time.Time          // by the clock of this process
	heard  time.Time          // when the last message about it was read
	isText bool               // its events are tokens
	cancel context.CancelFunc // ends its work; nil if that is not done here

	log     *pubsub.Log
	next    uint64 // number of its next event
	percent int
	size    int       // bytes that it is counted with
	ended   time.Time // zero while it runs
}

// newJob returns a job without events, which began with the claim run.
func newJob(id string, isText bool, run pubsub.ID, began time.Time) *job {
	j := &job{id: id, run: run, began: began, heard: time.Now(), isText: isText, next: 1, size: jobSize + len(id)}
	j.log = pubsub.NewLog(maxEvents, j.eventID(0))
	return j
}

// isRunning is false if there is no job, too.
func (j *job) isRunning() bool { return j != nil && j.ended.IsZero() }

// eventID is the id of an event by its number. Number 0 is the position before all.
func (j *job) eventID(number uint64) pubsub.ID {
	if number == doneNumber {
		return pubsub.ID{j.run[0], doneNumber}
	}
	return pubsub.ID{j.run[0], j.run[1]*idsPerJob + number}
}

// elapsed is the time since the start of the job, in ms. It is a part of messages, so
// that all replicas report the same, and setting a clock does not change it.
func (j *job) elapsed() int64 { return time.Since(j.began).Milliseconds() }

type progressData struct {
	ID string `json:"id"`
	Progress
	ElapsedMs int64 `json:"elapsedMs"`
}

// report appends a report, unless it is one that was published twice.
func (j *job) report(msg message) {
	if msg.Number < j.next {
		return
	}
	j.percent = min(max(msg.Progress.Percent, j.percent), 100)
	msg.Progress.Percent = j.percent
	j.next = msg.Number + 1
	j.append(msg.Number, "progress", progressData{j.id, msg.Progress, msg.Elapsed})
}

type tokenData struct {
	ID    string `json:"id"`
	Index uint64 `json:"index"`
	Text  string `json:"text"`
}

// pieces appends pieces of a text. Pieces that were published twice are skipped, and if
// some were missed, a gap reports it.
func (j *job) pieces(msg message) {
	j.missed(msg.Number-1, msg.Number)
	for i, piece := range msg.Pieces {
		if number := msg.Number + uint64(i); number == j.next {
			j.append(number, "token", tokenData{j.id, number - 1, piece})
			j.next++
		}
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
	Status    string  `json:"status"`
	Error     string  `json:"error,omitempty"`
	ElapsedMs int64   `json:"elapsedMs"`
	Tokens    *uint64 `json:"tokens,omitempty"` // only of a text
}

// end appends the last event and ends the work.
func (j *job) end(at time.Time, msg message) {
	data := doneData{ID: j.id, Status: msg.Status, Error: msg.Error, ElapsedMs: msg.Elapsed}
	if j.isText {
		j.missed(msg.Number, doneNumber)
		tokens := j.next - 1
		data.Tokens = &tokens
	}
	j.ended = at
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
