package tail

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"example.com/sse-demo/pubsub"
)

// errChanged says that the file no longer holds what was read from it: it was
// truncated, or written anew.
var errChanged = errors.New("tail: the file was truncated")

// A lineReader reads whole lines from a file that grows.
type lineReader struct {
	file  io.ReaderAt
	inode uint64

	read   int64  // offset up to which the file was read
	window []byte // what stands just before it
	line   []byte // the start of a line whose end was not read yet, MaxLine+1 bytes at the most
	length int64  // of that line so far
	buf    []byte
}

// newLineReader begins at offset, which must be the start of a line.
func newLineReader(file io.ReaderAt, inode uint64, offset int64) (*lineReader, error) {
	window, err := windowBefore(file, offset)
	if err != nil {
		return nil, err
	}
	return &lineReader{file: file, inode: inode, read: offset, window: window}, nil
}

// next reads a piece of the file, up to limit at the most, and gives each line
// that is complete. It returns false where there was nothing to read. What was
// read last is read again with it: where that has changed, it returns errChanged.
func (r *lineReader) next(limit int64, give func(pubsub.ID, []byte)) (bool, error) {
	old := len(r.window)
	size := min(chunkSize, limit-r.read)
	if r.buf == nil {
		r.buf = make([]byte, windowSize+chunkSize)
	}
	buf := r.buf[:int64(old)+max(size, 0)]
	n, err := r.file.ReadAt(buf, r.read-int64(old))
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	if n < old || !bytes.Equal(buf[:old], r.window) {
		return false, errChanged
	}
	for at := old; at < n; {
		end := bytes.IndexByte(buf[at:n], '\n')
		if end < 0 {
			r.extend(buf[at:n])
			break
		}
		r.extend(buf[at : at+end])
		at += end + 1
		r.give(r.read+int64(at-old), buf[:at], give)
	}
	r.read += int64(n - old)
	r.window = append(r.window[:0], buf[max(n-windowSize, 0):n]...)
	return n > old, nil
}

// rest gives the line that has no end, where nothing will be added to it.
func (r *lineReader) rest(give func(pubsub.ID, []byte)) {
	if r.length > 0 {
		r.give(r.read, r.window, give)
	}
}

// pos is the id of the place after the last complete line.
func (r *lineReader) pos() pubsub.ID {
	return pubsub.ID{markAt(r.inode, r.window), uint64(r.read)}
}

func (r *lineReader) extend(piece []byte) {
	r.length += int64(len(piece))
	room := MaxLine + 1 - len(r.line) // one more, for the CR of CRLF
	r.line = append(r.line, piece[:min(len(piece), room)]...)
}

// give gives the line, which ends at offset behind window.
func (r *lineReader) give(offset int64, window []byte, give func(pubsub.ID, []byte)) {
	line := r.line
	if r.length == int64(len(line)) {
		line = bytes.TrimSuffix(line, []byte("\r"))
	}
	cut := len(line) > MaxLine
	if cut {
		line = wholeRunes(line[:MaxLine])
	}
	id := pubsub.ID{markAt(r.inode, window), uint64(offset)}
	give(id, frameOf(id, line, cut))
	r.line, r.length = r.line[:0], 0
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
