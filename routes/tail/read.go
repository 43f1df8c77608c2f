package tail

import (
	"context"
	"errors"
	"io/fs"
	"math"

	"example.com/sse-demo/pubsub"
)

// readAll reads what there is, checking the name before each piece: files may
// come and go faster than they are read.
func (f *Follower) readAll(ctx context.Context) error {
	for ctx.Err() == nil {
		f.closeUnused()
		failed := f.lookForNew()
		if f.current.file == nil {
			return failed
		}
		replaced := f.replaced() // before the read that must come after it
		n, err := f.reader.fill(math.MaxInt64)
		switch {
		case errors.Is(err, errChanged):
			f.appendRest()
			f.follow(f.truncated())
		case err != nil:
			return err
		case n > 0:
			f.appendLines()
		case replaced:
			f.appendRest()
			f.remember(f.current)
			f.follow(f.waiting[0])
			f.waiting = f.waiting[1:]
		default:
			return failed
		}
	}
	return nil
}

func (f *Follower) appendLines() {
	for id, frame, ok := f.reader.next(); ok; id, frame, ok = f.reader.next() {
		f.append(id, frame)
	}
}

func (f *Follower) appendRest() {
	if id, frame, ok := f.reader.rest(); ok {
		f.append(id, frame)
	}
}

// append adds a line to the log. The lock is held over both, so that a feed that
// has read as far as the follower finds its position in the log.
func (f *Follower) append(id pubsub.ID, frame []byte) {
	frame = append(make([]byte, 0, len(frame)), frame...)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = position{pubsub.ID{f.current.number, id[1]}, id}
	f.current.end = int64(id[1])
	f.lines.Append(f.last.line, frame)
	if f.first == (position{}) {
		f.first = f.last
	}
}

// report logs a problem when it appears and when it is over, not at every attempt.
// A file that is not there is none.
func (f *Follower) report(err error) {
	problem := ""
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		problem = err.Error()
	}
	if problem == f.problem {
		return
	}
	f.problem = problem
	if problem != "" {
		f.logger.Error().Str("file", f.path).Str("error", problem).Msg("cannot read the log file, trying again")
		return
	}
	f.logger.Info().Str("file", f.path).Msg("the log file can be read again")
}
