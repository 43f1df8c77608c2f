package tail

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"
)

// A place is the end of a line, or the start of a generation. Places rise from line
// to line, through all generations.
type place struct {
	epoch  int64 // of the generation
	offset int64 // in its file
}

func (p place) before(q place) bool { return p.compare(q) < 0 }

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.epoch, q.epoch), cmp.Compare(p.offset, q.offset))
}

// A lineID is a place with a checksum, so that it is recognized after a restart.
type lineID struct {
	place
	sum uint32
}

// sumDigits is the length of the checksum in an id.
const sumDigits = 10

func (id lineID) String() string {
	return fmt.Sprintf("%d%0*d-%d", id.epoch, sumDigits, id.sum, id.offset)
}

// parseID reads an id as String writes it; ok is false for anything else.
func parseID(s string) (id lineID, ok bool) {
	mark, offset, _ := strings.Cut(s, "-")
	digits := max(len(mark)-sumDigits, 0)
	epoch, errEpoch := strconv.ParseUint(mark[:digits], 10, 63)
	sum, errSum := strconv.ParseUint(mark[digits:], 10, 32)
	end, errOffset := strconv.ParseUint(offset, 10, 63)
	if errEpoch != nil || errSum != nil || errOffset != nil {
		return lineID{}, false
	}
	id = lineID{place{int64(epoch), int64(end)}, uint32(sum)}
	return id, id.String() == s // "+1-01" was never given out
}

// checksum is the one in the id of the offset that window stands before.
func checksum(inode uint64, window []byte) uint32 {
	key := binary.LittleEndian.AppendUint64(nil, inode)
	return crc32.Update(crc32.ChecksumIEEE(key), crc32.IEEETable, window[max(len(window)-windowSize, 0):])
}

// windowBefore reads the bytes that the checksum of the offset covers.
func windowBefore(file io.ReaderAt, offset int64) ([]byte, error) {
	if offset == 0 {
		return nil, nil // there may be no file
	}
	window := make([]byte, min(offset, windowSize))
	_, err := file.ReadAt(window, offset-int64(len(window)))
	return window, err
}
