package tail

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"reflect"
)

// A lineID is the end of a line, or the start of a generation. Ids rise from line to
// line, through all generations.
type lineID struct {
	epoch  int64  // of the generation
	offset int64  // in its file
	sum    uint32 // see checksum
}

func (id lineID) before(other lineID) bool { return id.compare(other) < 0 }

func (id lineID) compare(other lineID) int {
	return cmp.Or(cmp.Compare(id.epoch, other.epoch), cmp.Compare(id.offset, other.offset))
}

func (id lineID) String() string {
	return fmt.Sprintf("%015d%010d-%d", id.epoch, id.sum, id.offset)
}

// parseID reads an id as String writes it; ok is false for anything else.
func parseID(s string) (id lineID, ok bool) {
	_, err := fmt.Sscanf(s, "%15d%10d-%d", &id.epoch, &id.sum, &id.offset)
	return id, err == nil && id.String() == s // "+1" was never given out
}

// checksum makes an id recognizable after a restart: it covers the file's inode and the
// window, which is the bytes before the offset.
func checksum(inode uint64, window []byte) uint32 {
	key := binary.LittleEndian.AppendUint64(nil, inode)
	return crc32.Update(crc32.ChecksumIEEE(key), crc32.IEEETable, window[max(len(window)-windowSize, 0):])
}

// windowBefore reads the window of an offset.
func windowBefore(file io.ReaderAt, offset int64) ([]byte, error) {
	if offset == 0 {
		return nil, nil // there may be no file
	}
	window := make([]byte, min(offset, windowSize))
	_, err := file.ReadAt(window, offset-int64(len(window)))
	return window, err
}

// firstLine reads the first line of a file, or the first bytes if it is longer than a window.
func firstLine(file io.ReaderAt) ([]byte, error) {
	window, err := io.ReadAll(io.NewSectionReader(file, 0, windowSize))
	line, _, _ := bytes.Cut(window, []byte("\n"))
	return line, err
}

// inodeOf returns the number that a file keeps under another name; 0 on a system that
// has none. Reflection finds it without a file of code for each system.
func inodeOf(info os.FileInfo) uint64 {
	stat := reflect.Indirect(reflect.ValueOf(info.Sys()))
	if stat.Kind() != reflect.Struct {
		return 0
	}
	inode := stat.FieldByName("Ino")
	if !inode.CanUint() {
		return 0
	}
	return inode.Uint()
}
