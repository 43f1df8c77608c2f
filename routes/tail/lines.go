package tail

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
)

// errChanged means that the file no longer holds what was read from it: it was
// truncated, or written anew.
var errChanged = errors.New("tail: the file was truncated")

// A lineReader reads whole lines from a file that grows: fill reads a chunk of
// it, and next takes the lines out of the chunk.
type lineReader struct {
	file io.ReaderAt
	mark func(window []byte) uint64

	read   int64  // offset up to which the file was read
	window []byte // what stands just before it
	chunk  []byte // the window before that, and what was read behind it
	taken  int    // bytes of chunk that next has been through
	buf    []byte // of chunk

	line   []byte // the start of a line whose end was not read yet, MaxLine+1 bytes at the most
	length int64  // of that line so far
	data   []byte // these two are used again for each line
	frame  []byte
}

// newLineReader begins at offset, which must be the start of a line.
func newLineReader(file io.ReaderAt, mark func(window []byte) uint64, offset int64) (*lineReader, error) {
	window, err := windowBefore(file, offset)
	if err != nil {
		return nil, err
	}
	return &lineReader{file: file, mark: mark, read: offset, window: window}, nil
}

// fill reads a chunk, up to limit at the most, after next has taken all lines of
// the one before. It returns how many bytes there were. What was read last is
// read again with it: if that has changed, fill returns errChanged.
func (r *lineReader) fill(limit int64) (int, error) {
	old := len(r.window)
	if r.buf == nil {
		r.buf = make([]byte, windowSize+chunkSize)
	}
	buf := r.buf[:int64(old)+min(chunkSize, max(limit-r.read, 0))]
	n, err := r.file.ReadAt(buf, r.read-int64(old))
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if n < old || !bytes.Equal(buf[:old], r.window) {
		return 0, errChanged
	}
	r.chunk, r.taken = buf[:n], old
	r.read += int64(n - old)
	r.window = append(r.window[:0], buf[max(n-windowSize, 0):n]...)
	return n - old, nil
}

// next returns the next complete line of the chunk. The frame is valid until the
// call after.
func (r *lineReader) next() (id pubsub.ID, frame []byte, ok bool) {
	rest := r.chunk[r.taken:]
	end := bytes.IndexByte(rest, '\n')
	if end < 0 {
		r.extend(rest)
		r.taken = len(r.chunk)
		return id, nil, false
	}
	r.extend(rest[:end])
	r.taken += end + 1
	id = pubsub.ID{r.mark(r.chunk[:r.taken]), uint64(r.read) - uint64(len(r.chunk)-r.taken)}
	return id, r.complete(id), true
}

// rest returns the line that has no end, for a file to which nothing will be
// added.
func (r *lineReader) rest() (id pubsub.ID, frame []byte, ok bool) {
	if r.length == 0 {
		return id, nil, false
	}
	return r.pos(), r.complete(r.pos()), true
}

// pos is the id of the offset up to which the file was read.
func (r *lineReader) pos() pubsub.ID {
	return pubsub.ID{r.mark(r.window), uint64(r.read)}
}

func (r *lineReader) extend(piece []byte) {
	r.length += int64(len(piece))
	room := MaxLine + 1 - len(r.line) // one more, for the CR of CRLF
	r.line = append(r.line, piece[:min(len(piece), room)]...)
}

// complete returns the frame of the line that ends at id.
func (r *lineReader) complete(id pubsub.ID) []byte {
	line := r.line
	if r.length == int64(len(line)) {
		line = bytes.TrimSuffix(line, []byte("\r"))
	}
	cut := len(line) > MaxLine
	if cut {
		line = wholeRunes(line[:MaxLine])
	}
	r.data = sse.AppendUTF8(r.data[:0], line)
	if cut {
		r.data = append(r.data, truncated...)
	}
	r.line, r.length = r.line[:0], 0
	r.frame = appendFrame(r.frame[:0], id, r.data)
	return r.frame
}

// wholeRunes takes off the start of a rune at the end of text.
func wholeRunes(text []byte) []byte {
	for i := len(text) - 1; i >= 0 && i > len(text)-utf8.UTFMax; i-- {
		if utf8.RuneStart(text[i]) {
			if !utf8.FullRune(text[i:]) {
				return text[:i]
			}
			break
		}
	}
	return text
}
