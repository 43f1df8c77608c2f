package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

// launch runs a job whose claim this replica has won. It needs the lock.
func (m *Manager) launch(j *job, kind Kind, r Request) {
	ctx, cancel := context.WithCancel(m.ctx)
	j.cancel = cancel
	m.tasks.Go(func() {
		defer cancel()
		err := m.work(ctx, j, kind, r)
		<-m.slots
		switch {
		case ctx.Err() != nil: // it has been ended, or Stop does that
		case err != nil:
			m.log.Info().Err(err).Str("job", j.id).Msg("a job has failed")
			m.publishEnd(j, failed, err.Error())
		default:
			m.publishEnd(j, succeeded, "")
		}
	})
}

// work calls the function of the kind. If it panics, the job fails, and the service goes
// on.
func (m *Manager) work(ctx context.Context, j *job, kind Kind, r Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			m.panics.Add(1)
			m.log.Error().Str("job", j.id).Interface("panic", p).Bytes("stack", debug.Stack()).Msg("a job's work panicked")
			err = errors.New(panicked)
		}
	}()
	if kind.Write == nil {
		return kind.Report(ctx, r, m.reporter(ctx, j))
	}
	w := &writer{publish: func(number uint64, pieces []string) {
		if ctx.Err() == nil {
			m.insist(ctx, tokensMessage, message{Job: j.id, IsText: true, Run: j.run, Number: number, Pieces: pieces})
		}
	}}
	defer w.sending.Wait() // what was written before an error or a panic is published, too
	return kind.Write(ctx, r, w.write)
}

// reporter returns a function that publishes the progress of a job. A report that
// the journal does not accept is dropped: the next one says more.
func (m *Manager) reporter(ctx context.Context, j *job) func(Progress) {
	number := uint64(0)
	return func(p Progress) {
		if ctx.Err() == nil {
			number++
			_ = m.publish(ctx, progressMessage, message{Job: j.id, Run: j.run, Number: number, Progress: p, Elapsed: j.elapsed()})
		}
	}
}

func (m *Manager) publishEnd(j *job, status, reason string) {
	m.insist(m.ctx, endMessage, m.endOf(j, status, reason))
}

// endOf returns the message that ends a job now.
func (m *Manager) endOf(j *job, status, reason string) message {
	m.mu.Lock()
	defer m.mu.Unlock()
	return message{Job: j.id, IsText: j.isText, Run: j.run, Number: j.next - 1, Elapsed: j.elapsed(), Status: status, Error: reason}
}

// retryPause is the time between two attempts to publish.
const retryPause = 500 * time.Millisecond

// insist publishes a message until the journal accepts it, or ctx ends; once at least. If
// it appears twice, its readers know it by its number.
func (m *Manager) insist(ctx context.Context, name string, msg message) {
	for m.publish(ctx, name, msg) != nil {
		select {
		case <-time.After(retryPause):
		case <-ctx.Done():
			return
		}
	}
}

// publish appends a message to the journal. It goes on if the request that asks for it
// is cancelled, because the result concerns other clients, too.
func (m *Manager) publish(ctx context.Context, name string, msg message) error {
	msg.Replica = m.replica
	data, err := json.Marshal(msg)
	if err != nil {
		panic(err) // strings and integers always marshal
	}
	if err := m.journal.Publish(context.WithoutCancel(ctx), name, data); err != nil {
		m.log.Debug().Err(err).Str("message", name).Str("job", msg.Job).Msg("the journal does not accept a message about a job")
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	return nil
}

// How long a text may be. All of it is kept until a minute after its end.
const (
	MaxPieces = 32 << 10
	MaxText   = 512 << 10 // bytes
)

// batchPieces is how many pieces one message holds at most.
const batchPieces = 256

// A writer takes the pieces of a text without waiting for the journal. Those that come
// while a message is on its way are published together. Its memory is bounded because
// the text is.
type writer struct {
	publish func(number uint64, pieces []string) // number is the first one's, from 1
	sending sync.WaitGroup                       // as long as there are pieces

	mu        sync.Mutex
	pieces    []string // that are not published
	published int      // pieces before these
	bytes     int      // of all pieces
}

// write is what the function of a kind calls. The error says that the text is too long.
func (w *writer) write(piece string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if piece == "" {
		return nil
	}
	if w.published+len(w.pieces) == MaxPieces || w.bytes+len(piece) > MaxText {
		return fmt.Errorf("the text is too long: at most %d pieces and %d KiB are kept, and these were; ask for a shorter one", MaxPieces, MaxText>>10)
	}
	w.bytes += len(piece)
	w.pieces = append(w.pieces, strings.ToValidUTF8(piece, "\ufffd"))
	if len(w.pieces) == 1 {
		w.sending.Go(w.send)
	}
	return nil
}

// send publishes the pieces in order, some at a time, until none is left.
func (w *writer) send() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.pieces) > 0 {
		number, batch := uint64(w.published)+1, w.pieces[:min(len(w.pieces), batchPieces)]
		w.mu.Unlock()
		w.publish(number, batch)
		w.mu.Lock()
		w.published += len(batch)
		w.pieces = w.pieces[len(batch):]
	}
}
