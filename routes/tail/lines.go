package tail

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"example.com/sse-demo/sse"
)

const truncated = " …[truncated]"

// maxRead is how much is read of a line: room for a CR, and one byte that is too many.
const maxRead = MaxLine + 2

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
	generation *generation
	file       io.ReaderAt // nil if it is missing

	read  int64  // offset up to which the file was read
	buf   []byte // of chunk
	chunk []byte // the window before the bytes that were read last, and these
	taken int    // bytes of chunk that lines has been through
	atEnd bool   // fill came to the end of the file

	isHole bool   // the file has only NULs so far
	line   []byte // the start of a line whose end was not read yet, at most maxRead bytes
	end    lineID // of the last line that was taken, or where the reader began
}

// newLineReader returns a reader of a generation's file that begins at offset, which
// must be the start of a line.
func newLineReader(g *generation, file io.ReaderAt, offset int64) (*lineReader, error) {
	r := &lineReader{generation: g, file: file, read: offset, isHole: offset == 0, buf: make([]byte, windowSize+chunkSize)}
	window, err := windowBefore(file, offset)
	r.chunk, r.taken = window, len(window)
	r.end = r.id()
	return r, err
}

// window returns the bytes before the offset up to which the file was read.
func (r *lineReader) window() []byte { return r.chunk[max(len(r.chunk)-windowSize, 0):] }

// id is the id of the offset up to which the file was read.
func (r *lineReader) id() lineID { return r.generation.idAt(r.read, r.window()) }

// fill reads the next chunk, at most up to limit, and returns how many bytes there
// were. It returns errChanged if the bytes before the chunk have changed. It compares
// these last: as long as they are the same, the chunk belongs to the same file, too.
func (r *lineReader) fill(limit int64) (int, error) {
	old := copy(r.buf, r.window())
	r.chunk, r.taken = r.buf[:old], old
	if r.file == nil {
		r.atEnd = true
		return 0, nil
	}
	n, err := r.file.ReadAt(r.buf[old:int64(old)+min(chunkSize, max(limit-r.read, 0))], r.read)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	r.atEnd = err != nil
	window, err := windowBefore(r.file, r.read)
	switch {
	case errors.Is(err, io.EOF) || err == nil && !bytes.Equal(window, r.chunk):
		return 0, errChanged
	case err != nil:
		return 0, err
	}
	r.chunk = r.buf[:old+n]
	r.read += int64(n)
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

// lines returns the complete lines of the chunk, up to a limit. If nothing will be added
// to the file, what follows the last line end is a line, too.
func (r *lineReader) lines(isComplete bool, limit int) (lines []line) {
	for r.taken < len(r.chunk) && len(lines) < limit {
		piece, _, hasEnd := bytes.Cut(r.chunk[r.taken:], []byte("\n"))
		r.line = append(r.line, piece[:min(len(piece), maxRead-len(r.line))]...)
		r.taken += len(piece)
		if hasEnd {
			r.taken++
			lines = append(lines, r.complete())
		}
	}
	if isComplete && len(r.line) > 0 {
		lines = append(lines, r.complete())
	}
	return lines
}

// complete returns the line that was taken.
func (r *lineReader) complete() line {
	text, mark := bytes.TrimSuffix(r.line, []byte("\r")), ""
	if len(text) > MaxLine {
		end := MaxLine
		for end > MaxLine-utf8.UTFMax && !utf8.RuneStart(text[end]) {
			end--
		}
		text, mark = text[:end], truncated
	}
	data := append(sse.AppendUTF8(nil, text), mark...)
	r.line = r.line[:0]
	r.end = r.generation.idAt(r.read-int64(len(r.chunk)-r.taken), r.chunk[:r.taken])
	return line{r.end, sse.MustFrame(sse.Event{ID: r.end.String(), Name: "log", Data: data})}
}
