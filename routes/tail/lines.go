package tail

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"example.com/sse-demo/sse"
)

const truncated = " …[truncated]"

// A line is an event: its id, and its frame.
type line struct {
	id    lineID
	frame []byte
}

// errChanged means that the file no longer holds what was read from it: it was
// truncated, or written anew.
var errChanged = errors.New("tail: the file was truncated")

// A lineReader reads whole lines from a file that grows: fill reads a chunk of the
// file, and lines takes the lines out of the chunk.
type lineReader struct {
	file  io.ReaderAt
	epoch int64
	inode uint64

	read   int64  // offset up to which the file was read
	window []byte // the bytes just before it
	chunk  []byte // the window before that, and what was read after it
	taken  int    // bytes of chunk that lines has been through
	buf    []byte // of chunk

	atEnd  bool   // fill came to the end of the file
	isHole bool   // the file has only NULs so far
	line   []byte // the start of a line whose end was not read yet, at most MaxLine+1 bytes
	length int64  // of that line so far
	data   []byte // reused for each line
}

// newLineReader returns a reader of a generation's file that begins at offset, which
// must be the start of a line.
func newLineReader(file io.ReaderAt, g *generation, offset int64) (*lineReader, error) {
	window, err := windowBefore(file, offset)
	if err != nil {
		return nil, err
	}
	return &lineReader{file: file, epoch: g.epoch, inode: g.inode, read: offset, window: window, isHole: offset == 0}, nil
}

// fill reads the next chunk, at most up to limit, and returns how many bytes there
// were. It returns errChanged if the bytes before the chunk have changed. It compares
// these last: as long as they are the same, the chunk belongs to the same file, too.
func (r *lineReader) fill(limit int64) (int, error) {
	if r.buf == nil {
		r.buf = make([]byte, windowSize+chunkSize)
	}
	old := copy(r.buf, r.window)
	n, err := r.file.ReadAt(r.buf[old:int64(old)+min(chunkSize, max(limit-r.read, 0))], r.read)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	r.atEnd = err != nil
	window, err := windowBefore(r.file, r.read)
	switch {
	case errors.Is(err, io.EOF) || err == nil && !bytes.Equal(window, r.window):
		return 0, errChanged
	case err != nil:
		return 0, err
	}
	r.chunk, r.taken = r.buf[:old+n], old
	r.read += int64(n)
	r.window = append(r.window[:0], r.chunk[max(old+n-windowSize, 0):]...)
	r.skipHole()
	return n, nil
}

// skipHole skips the NULs at the start of a file: a writer without O_APPEND goes on
// at its old offset after a truncation, and leaves a hole before it.
func (r *lineReader) skipHole() {
	if r.isHole {
		rest := bytes.TrimLeft(r.chunk[r.taken:], "\x00")
		r.taken = len(r.chunk) - len(rest)
		r.isHole = len(rest) == 0
	}
}

// lines returns the complete lines of the chunk.
func (r *lineReader) lines() (lines []line) {
	for {
		rest := r.chunk[r.taken:]
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			r.extend(rest)
			r.taken = len(r.chunk)
			return lines
		}
		r.extend(rest[:end])
		r.taken += end + 1
		lines = append(lines, r.complete(r.read-int64(len(r.chunk)-r.taken), r.chunk[:r.taken]))
	}
}

// rest returns the line that has no end, of a file to which nothing will be added.
func (r *lineReader) rest() (lines []line) {
	if r.length == 0 {
		return nil
	}
	return []line{r.complete(r.read, r.window)}
}

// id is the id of the offset up to which the file was read.
func (r *lineReader) id() lineID {
	return lineID{place{r.epoch, r.read}, checksum(r.inode, r.window)}
}

func (r *lineReader) extend(piece []byte) {
	r.length += int64(len(piece))
	room := MaxLine + 1 - len(r.line) // one more, for the CR of CRLF
	r.line = append(r.line, piece[:min(len(piece), room)]...)
}

// complete returns the line that ends at offset, after the bytes of window.
func (r *lineReader) complete(offset int64, window []byte) line {
	text := r.line
	if r.length == int64(len(text)) {
		text = bytes.TrimSuffix(text, []byte("\r"))
	}
	cut := len(text) > MaxLine
	if cut {
		text = wholeRunes(text[:MaxLine])
	}
	r.data = sse.AppendUTF8(r.data[:0], text)
	if cut {
		r.data = append(r.data, truncated...)
	}
	r.line, r.length = r.line[:0], 0
	id := lineID{place{r.epoch, offset}, checksum(r.inode, window)}
	return line{id, sse.MustFrame(sse.Event{ID: id.String(), Name: "log", Data: r.data})}
}

// wholeRunes returns text without an incomplete rune at its end.
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
