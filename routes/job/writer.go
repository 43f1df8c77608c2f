package job

import (
	"fmt"
	"strings"
	"sync"
)

// How long a text may be. All of it is kept until a minute after its end.
const (
	MaxPieces = 32 << 10
	MaxText   = 512 << 10 // bytes
)

// What one message holds at most.
const (
	batchPieces = 256
	batchBytes  = 16 << 10
)

// A writer takes the pieces of a text without waiting for the journal, and sends those
// together that come while a message is on its way. Its memory is bounded because the
// text is.
type writer struct {
	ready chan struct{} // receives if there are pieces; closed when there will be no more

	mu      sync.Mutex
	pieces  []string // to be sent
	next    uint64   // number of the first of them, from 1
	written int      // pieces so far
	bytes   int      // of these
}

// write is what the function calls. The error says that the text is too long.
func (w *writer) write(piece string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if piece == "" {
		return nil
	}
	if w.written == MaxPieces || w.bytes+len(piece) > MaxText {
		return fmt.Errorf("the text is too long: at most %d pieces and %d KiB are kept, and these were; ask for a shorter one", MaxPieces, MaxText>>10)
	}
	w.written++
	w.bytes += len(piece)
	w.pieces = append(w.pieces, strings.ToValidUTF8(piece, "\ufffd"))
	select {
	case w.ready <- struct{}{}:
	default: // it is pending already
	}
	return nil
}

// send calls publish with all pieces, in order and some at a time, until ready is
// closed and none is left.
func (w *writer) send(publish func(number uint64, pieces []string)) {
	for range w.ready {
		for {
			number, pieces := w.take()
			if len(pieces) == 0 {
				break
			}
			publish(number, pieces)
		}
	}
}

// take returns the next batch and the number of its first piece.
func (w *writer) take() (number uint64, pieces []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	bytes, n := 0, 0
	for n < len(w.pieces) && n < batchPieces && bytes < batchBytes {
		bytes += len(w.pieces[n])
		n++
	}
	number, pieces = w.next, w.pieces[:n]
	w.next += uint64(n)
	w.pieces = w.pieces[n:]
	return number, pieces
}
