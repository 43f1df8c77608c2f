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
	"slices"
	"time"
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

// inodeOf returns the number that a file keeps under another name; 0 on a system that
// has none. Reflection finds it without a file of code for each system.
func inodeOf(info os.FileInfo) uint64 {
	inode := reflect.Indirect(reflect.ValueOf(info.Sys())).FieldByName("Ino")
	if !inode.CanUint() {
		return 0
	}
	return inode.Uint()
}

// backfill returns the ids before and after the last n lines of the current file.
func (f *Follower) backfill(n int) (at, end lineID) {
	f.mu.Lock()
	g := *f.current()
	f.mu.Unlock()
	at = g.end
	if n > 0 && g.file != nil {
		offset, err := backfillStart(g.file, g.end.offset, n)
		window, errWindow := windowBefore(g.file, offset)
		if err == nil && errWindow == nil { // or else the file was truncated, or is closed
			at = g.idAt(offset, window)
		}
	}
	if at.offset < g.start.offset {
		at = g.start
	}
	return at, g.end
}

// backfillStart is the offset at which the last n lines before end begin, no more than
// maxBackfill before it.
func backfillStart(file io.ReaderAt, end int64, n int) (int64, error) {
	start, stop := end, max(end-maxBackfill, 0)
	buf := make([]byte, chunkSize)
	for at := end; at > stop; {
		chunk := buf[:min(at-stop, chunkSize)]
		at -= int64(len(chunk))
		if _, err := file.ReadAt(chunk, at); err != nil {
			return 0, err
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

// position returns a place as clients get it. The start of a file has no bytes before it,
// so the checksum covers the first line instead; or nothing that a later process finds, if
// the file is gone. Before the first line was read, the place is the end of the file before.
func (f *Follower) position(at lineID) string {
	gens := f.generations()
	i := indexOf(gens, at.epoch)
	switch {
	case at.offset > 0 || i < 0:
	case gens[i].end.offset > 0:
		at.sum = 0
		if line, err := f.windowAt(&gens[i], 0); err == nil {
			at.sum = checksum(gens[i].inode, line)
		}
	case i > 0 && gens[i-1].end.offset > 0 && gens[i-1].info != nil:
		at = gens[i-1].end
	}
	return at.String()
}

// windowAt reads what the checksum of a client's id covers: the window of the offset, or at
// the start of the file the first line, up to the size of a window.
func (f *Follower) windowAt(g *generation, offset int64) (window []byte, err error) {
	err = f.use(g, func(file io.ReaderAt) (err error) {
		if offset > 0 {
			window, err = windowBefore(file, offset)
			return err
		}
		window, err = io.ReadAll(io.NewSectionReader(file, 0, windowSize))
		window, _, _ = bytes.Cut(window, []byte("\n"))
		return err
	})
	return window, err
}

// resume returns the place in this process of a client's id; ok is false if it is unknown,
// so that lines after it may be lost. An id of this process has its epoch. The place of
// an earlier one is found by its checksum, in a file that is open or beside; it may be a
// copy. If several have it, none of them is it.
func (f *Follower) resume(lastEventID string) (at lineID, ok bool) {
	id, ok := parseID(lastEventID)
	if !ok {
		return lineID{}, false
	}
	gens, began := f.generations(), id.epoch
	if i := indexOf(gens, id.epoch); i < 0 {
		id.epoch = 0
	} else if gens = gens[i : i+1]; id.offset == 0 {
		return gens[0].start, true
	}
	f.mu.Lock()
	at, ok = f.memory.find(id)
	f.mu.Unlock()
	if ok && id.offset > 0 {
		return at, true
	}
	found := 0
	for _, g := range gens {
		if id == g.start || id == g.end {
			return id, true
		}
		if offset := max(id.offset, 1); offset <= g.start.offset || offset > g.end.offset {
			continue
		}
		window, err := f.windowAt(&g, id.offset)
		isOf := func(original generation) bool { return id.sum == checksum(original.inode, window) }
		if err != nil || !slices.ContainsFunc(gens, isOf) {
			continue
		}
		found++
		if at = g.start; id.offset > 0 {
			at = g.idAt(id.offset, window)
		}
	}
	if found == 0 && id.offset == 0 {
		return f.resumeEmpty(id.sum, began)
	}
	return at, found == 1
}

// resumeEmpty resumes where an earlier process had no lines yet, so that nothing but the
// inode shows that the file is the same. If a rotated file was written since, others may
// have been lost before it. Some file systems keep times in steps of two seconds.
func (f *Follower) resumeEmpty(sum uint32, began int64) (at lineID, ok bool) {
	for _, g := range f.generations() {
		isNew := func() bool { return g.end.offset > 0 && epochOf(g.info.ModTime().Add(2*time.Second)) >= began }
		switch {
		case g.epoch > f.first || g.epoch < f.first && isNew():
			return lineID{}, false
		case sum == g.start.sum || g.epoch == f.first && sum == checksum(0, nil):
			return g.start, true
		}
	}
	return lineID{}, false
}
