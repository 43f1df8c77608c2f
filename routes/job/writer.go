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

// batchPieces is how many pieces one message holds at most.
const batchPieces = 256

// A writer takes the pieces of a text without waiting for the journal. Those that come
// while a message is on its way are published together. Its memory is bounded because
// the text is.
type writer struct {
	publish func(number uint64, pieces []string) // number is the first one's, from 1
	sending sync.WaitGroup                       // as long as there are pieces

	mu        sync.Mutex
	isSending bool
	pieces    []string // to be sent
	taken     int      // pieces before these
	bytes     int      // of all pieces
}

// write is what the function of a kind calls. The error says that the text is too long.
func (w *writer) write(piece string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if piece == "" {
		return nil
	}
	if w.taken+len(w.pieces) == MaxPieces || w.bytes+len(piece) > MaxText {
		return fmt.Errorf("the text is too long: at most %d pieces and %d KiB are kept, and these were; ask for a shorter one", MaxPieces, MaxText>>10)
	}
	w.bytes += len(piece)
	w.pieces = append(w.pieces, strings.ToValidUTF8(piece, "\ufffd"))
	if !w.isSending {
		w.isSending = true
		w.sending.Go(w.send)
	}
	return nil
}

// send publishes the pieces in order, some at a time, until none is left.
func (w *writer) send() {
	for {
		w.mu.Lock()
		number, batch := uint64(w.taken)+1, w.pieces[:min(len(w.pieces), batchPieces)]
		w.taken += len(batch)
		w.pieces = w.pieces[len(batch):]
		w.isSending = len(batch) > 0
		w.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		w.publish(number, batch)
	}
}
