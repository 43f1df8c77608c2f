// Package tail follows log files: every complete line becomes an event, through
// rotation by renaming, truncation, deletion and re-creation.
//
// # One follower, many clients
//
// A [Follower] reads a file once, however many clients there are, and appends
// its lines to a log (see package pubsub). A [Cursor] that is near the end reads
// that log; one that is further behind reads the file itself until it has caught
// up, so a client that was away for long loses nothing that the file still has.
//
// # Ids
//
// The id of a line is "<mark>-<offset>": where the line ends in its file, and a
// checksum of the file's identity and of what stands before that place. So an
// id is good for as long as the file is, over restarts of the service too, and
// does not fit another file of the same name.
//
// # Rotation
//
// When another file has appeared under the name, the old one is read to its end
// first. Files that came and went between two looks are found beside it by the
// names that rotation gives them.
package tail

import (
	"hash/crc32"
	"io"
	"os"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
)

const (
	// MaxLine is the length in bytes beyond which a line is sent cut.
	MaxLine = 64 << 10
	// What is in memory for those who are near the end. It must hold what comes in
	// a burst of rotations, whose lines are in no file that a client could read.
	keptLines = 16 << 10
	keptBytes = 4 << 20

	maxBackfill = 64 << 20 // how far back in the file the first lines are looked for
	chunkSize   = 64 << 10 // of one read
	windowSize  = 256      // bytes before a place that tell whether it is still the same
)

const truncated = " …[truncated]"

// markAt is the checksum in the id of the place that window stands before.
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

// frameOf encodes a line that ends at id.
func frameOf(id pubsub.ID, line []byte, cut bool) []byte {
	data := sse.AppendUTF8(make([]byte, 0, len(line)+len(truncated)), line)
	if cut {
		data = append(data, truncated...)
	}
	frame, err := sse.Event{ID: id.String(), Name: "log", Data: data}.Append(nil)
	if err != nil {
		panic(err) // digits and a constant are valid
	}
	return frame
}

// windowBefore reads the bytes that tell the place at offset.
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
		size := min(at-stop, chunkSize)
		at -= size
		if _, err := file.ReadAt(buf[:size], at); err != nil {
			return 0, err
		}
		for i := size - 1; i >= 0; i-- {
			if buf[i] != '\n' {
				continue
			}
			if start = at + i + 1; n == 0 {
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

// A generation is one file that the followed name has stood for.
type generation struct {
	file  *os.File
	info  os.FileInfo
	inode uint64
	users int // the follower and the cursors that read it; closed by the last
	place int // of its name among those of rotated files, when it was last seen there
}

func openGeneration(path string) (*generation, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return &generation{file: file, info: info, inode: inodeOf(info), users: 1}, nil
}
