// Package tail follows log files: every complete line becomes an event, through
// rotation by renaming, truncation, deletion and re-creation.
//
// # One follower, many feeds
//
// A [Follower] reads a file once, however many clients there are, and appends
// its lines to a log in memory (see package pubsub). Each client has a [Feed].
// A feed whose position is in memory reads it there; a feed that is further
// behind reads the file itself until it has caught up, so a client that was away
// for long loses nothing that the file still has.
//
// # Nothing waits for a disk
//
// The methods of a feed never block, so one goroutine may serve many. A feed that
// reads a file, or has an expression to match, does so in a worker: a goroutine
// that ends with the feed or the follower, and hands over finished frames. Locks
// are held for neither.
//
// # Ids
//
// The id of a line is "<mark>-<offset>": the offset at which the line ends in its
// file, and a checksum of the file's inode and of the bytes before that offset.
// So an id is valid as long as the file is, over restarts of the service too, and
// is not valid in another file of the same name. The start of a file has an id of
// its own, "<mark>-0", with the time in its mark; so has a file that does not
// exist yet. What is written after a truncation has the time of the truncation in
// its marks, too: it may equal what was there before.
//
// # Rotation
//
// If another file has appeared under the name, the old one is first read to its
// end. Files that came and went in between are found beside it by the names that
// rotation gives them. Each file is a generation and holds the next one open, so
// a feed that is behind goes through all of them.
package tail

import (
	"bytes"
	"hash/crc32"
	"io"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
)

const (
	// MaxLine is the length in bytes beyond which a line is sent cut.
	MaxLine = 64 << 10
	// What is in memory for clients that are near the end. It must hold the lines
	// of a burst of rotations, whose files may be gone before a client reads them.
	keptLines = 16 << 10
	keptBytes = 4 << 20

	maxBackfill = 64 << 20 // bytes of the file that are searched for the first lines
	chunkSize   = 64 << 10 // of one read
	windowSize  = 256      // bytes before an offset that its mark covers
)

const truncated = " …[truncated]"

// markAt is the mark in the id of the offset that window stands before.
func markAt(inode uint64, window []byte) uint64 {
	if len(window) > windowSize {
		window = window[len(window)-windowSize:]
	}
	var key [8]byte
	for i := range key {
		key[i] = byte(inode >> (8 * i))
	}
	return uint64(crc32.Update(crc32.ChecksumIEEE(key[:]), crc32.IEEETable, window))
}

// appendFrame appends the frame of a line that ends at id.
func appendFrame(dst []byte, id pubsub.ID, data []byte) []byte {
	dst, err := sse.Event{ID: id.String(), Name: "log", Data: data}.Append(dst)
	if err != nil {
		panic(err) // digits and a constant are valid
	}
	return dst
}

// windowBefore reads the bytes that the mark of the offset covers.
func windowBefore(file io.ReaderAt, offset int64) ([]byte, error) {
	window := make([]byte, min(offset, windowSize))
	if _, err := file.ReadAt(window, offset-int64(len(window))); err != nil {
		return nil, err
	}
	return window, nil
}

// backfillStart is the offset at which the last n lines before end begin, no
// more than limit bytes before it.
func backfillStart(file io.ReaderAt, end int64, n int, limit int64) (int64, error) {
	start, stop := end, max(end-limit, 0)
	buf := make([]byte, chunkSize)
	for at := end; at > stop; {
		chunk := buf[:min(at-stop, chunkSize)]
		at -= int64(len(chunk))
		if _, err := file.ReadAt(chunk, at); err != nil {
			return 0, err
		}
		if bytes.IndexByte(chunk, '\n') < 0 { // much faster than LastIndexByte
			continue
		}
		for i := bytes.LastIndexByte(chunk, '\n'); i >= 0; i = bytes.LastIndexByte(chunk[:i], '\n') {
			if start = at + int64(i) + 1; n == 0 {
				return start, nil
			}
			n--
		}
	}
	if stop == 0 {
		return 0, nil
	}
	return start, nil // after the first line end within the limit
}
