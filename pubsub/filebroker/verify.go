package filebroker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// verify checks that a file is a complete bbolt database: both meta pages, every page
// of its trees, and the list of free pages. bbolt itself trusts what it maps into
// memory: a damaged page ends the process, or has it overwrite others. The layout is
// in bbolt's internal/common/page.go and meta.go; numbers are in the byte order of the
// machine.
func verify(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	t, err := newestTree(file)
	if err != nil {
		return err
	}
	if err := t.bucket(t.root); err != nil {
		return err
	}
	return t.checkFreelist()
}

// A page begins with its number (8 bytes), its kind (2), how many elements it has (2),
// and how many further pages belong to it (4).
const (
	pageHeader = 16
	branchPage = 0x01
	leafPage   = 0x02
	metaPage   = 0x04
	freePage   = 0x10

	elementSize = 16 // of a branch or a leaf
	bucketFlag  = 0x01
	bucketSize  = 16 // of the head of a nested bucket: its root page and a sequence number

	metaSize    = 64
	metaMagic   = 0xED0CDAED
	metaVersion = 2
	minPageSize = 512
	maxPages    = 1 << 31 // so that the size in bytes is no more than an int64 has
	manyIDs     = 0xFFFF  // as the count of a list of free pages: its first id is the count
)

var (
	errOther   = errors.New("it is no data file of sse-demo")
	errElement = errors.New("an element is damaged")
)

func damaged(page uint64) error { return fmt.Errorf("it is damaged: page %d", page) }

// A tree is a database as its newest transaction has left it.
type tree struct {
	file               io.ReaderAt
	pageSize           int
	root, freelist, tx uint64
	end                uint64 // how many pages there are
	seen               []bool // by page: it is in use, or free
}

// newestTree reads both meta pages. Each transaction writes one of them, in turn, so
// both are valid, and the other is from the transaction before.
func newestTree(file *os.File) (*tree, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	size := os.Getpagesize()
	first, errFirst := readMeta(file, 0, size)
	if errFirst == nil {
		size = first.pageSize
	}
	second, errSecond := readMeta(file, 1, size)
	if errFirst != nil && errSecond != nil {
		return nil, errOther
	}
	if err := errors.Join(errFirst, errSecond); err != nil {
		return nil, err
	}
	t := first
	if second.tx > first.tx {
		t = second
	}
	if want := int64(t.end) * int64(size); info.Size() < want {
		return nil, fmt.Errorf("it is damaged: it has %d bytes, and should have %d at least", info.Size(), want)
	}
	t.seen = make([]bool, t.end)
	t.seen[0], t.seen[1] = true, true
	return t, nil
}

func readMeta(file io.ReaderAt, number, size int) (*tree, error) {
	page := make([]byte, pageHeader+metaSize)
	if _, err := file.ReadAt(page, int64(number)*int64(size)); err != nil {
		return nil, damaged(uint64(number))
	}
	body := page[pageHeader:]
	u32 := func(at int) uint32 { return binary.NativeEndian.Uint32(body[at:]) }
	u64 := func(at int) uint64 { return binary.NativeEndian.Uint64(body[at:]) }
	sum := fnv.New64a()
	_, _ = sum.Write(body[:metaSize-8])
	t := &tree{file: file, pageSize: int(u32(8)), root: u64(16), freelist: u64(32), end: u64(40), tx: u64(48)}
	if u32(0) != metaMagic || u32(4) != metaVersion || u64(metaSize-8) != sum.Sum64() || t.pageSize < minPageSize || t.end < 2 || t.end > maxPages {
		return nil, damaged(uint64(number))
	}
	return t, nil
}

// read returns a page, with those that belong to it, and notes that it is in use.
func (t *tree) read(number uint64) (page []byte, kind uint16, count int, err error) {
	head := make([]byte, pageHeader)
	offset := int64(number) * int64(t.pageSize)
	if number >= uint64(len(t.seen)) {
		return nil, 0, 0, damaged(number)
	}
	if _, err := t.file.ReadAt(head, offset); err != nil {
		return nil, 0, 0, err
	}
	last := number + uint64(binary.NativeEndian.Uint32(head[12:]))
	if binary.NativeEndian.Uint64(head) != number || last >= uint64(len(t.seen)) {
		return nil, 0, 0, damaged(number)
	}
	for n := number; n <= last; n++ {
		if t.seen[n] {
			return nil, 0, 0, damaged(n)
		}
		t.seen[n] = true
	}
	page = make([]byte, int(last-number+1)*t.pageSize)
	if _, err := t.file.ReadAt(page, offset); err != nil {
		return nil, 0, 0, err
	}
	return page, binary.NativeEndian.Uint16(page[8:]), int(binary.NativeEndian.Uint16(page[10:])), nil
}

// bucket checks the pages of a bucket, and of the buckets in it.
func (t *tree) bucket(root uint64) error {
	_, err := t.keys(root, nil)
	return err
}

// keys checks the tree below a page, whose keys are all above last, and returns its
// last key.
func (t *tree) keys(number uint64, last []byte) ([]byte, error) {
	page, kind, count, err := t.read(number)
	if err != nil {
		return nil, err
	}
	if kind != branchPage && kind != leafPage {
		return nil, damaged(number)
	}
	last, err = t.elements(page, kind, count, last)
	if errors.Is(err, errElement) {
		return nil, damaged(number)
	}
	return last, err
}

func (t *tree) elements(page []byte, kind uint16, count int, last []byte) ([]byte, error) {
	if pageHeader+count*elementSize > len(page) || kind == branchPage && count == 0 {
		return nil, errElement
	}
	for i := range count {
		e, ok := readElement(page, pageHeader+i*elementSize, kind)
		if !ok || last != nil && bytes.Compare(e.key, last) <= 0 {
			return nil, errElement
		}
		var err error
		switch {
		case kind == branchPage: // its key is a lower bound of those below it
			last, err = t.keys(e.child, last)
		case e.isBucket:
			last, err = e.key, t.nested(e.value)
		default:
			last = e.key
		}
		if err != nil {
			return nil, err
		}
	}
	return last, nil
}

// nested checks a bucket that is the value of an element: it has a root page, or is
// small, and its only page follows in the value itself.
func (t *tree) nested(value []byte) error {
	if len(value) < bucketSize {
		return errElement
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return t.bucket(root)
	}
	page := value[bucketSize:]
	if len(page) < pageHeader || binary.NativeEndian.Uint16(page[8:]) != leafPage {
		return errElement
	}
	_, err := t.elements(page, leafPage, int(binary.NativeEndian.Uint16(page[10:])), nil)
	return err
}

type element struct {
	key, value []byte
	child      uint64
	isBucket   bool
}

// readElement reads an element of a branch (how far away its key is, the size of the
// key, the child) or of a leaf (flags, how far away its key is, the sizes of the key
// and of the value, which follows the key).
func readElement(page []byte, at int, kind uint16) (e element, ok bool) {
	u32 := func(i int) uint64 { return uint64(binary.NativeEndian.Uint32(page[at+4*i:])) }
	distance, keySize, valueSize := u32(0), u32(1), uint64(0)
	if kind == branchPage {
		e.child = binary.NativeEndian.Uint64(page[at+8:])
	} else {
		distance, keySize, valueSize = u32(1), u32(2), u32(3)
		e.isBucket = u32(0)&bucketFlag != 0
	}
	start := uint64(at) + distance
	if keySize == 0 || start+keySize+valueSize > uint64(len(page)) {
		return element{}, false
	}
	e.key = page[start : start+keySize]
	e.value = page[start+keySize : start+keySize+valueSize]
	return e, true
}

// checkFreelist checks that the free pages are those that nothing uses.
func (t *tree) checkFreelist() error {
	page, kind, count, err := t.read(t.freelist)
	if err != nil {
		return err
	}
	ids := page[pageHeader:]
	if count == manyIDs {
		count, ids = int(binary.NativeEndian.Uint64(ids)), ids[8:]
	}
	if kind != freePage || count < 0 || count > len(ids)/8 {
		return damaged(t.freelist)
	}
	for i := range count {
		id := binary.NativeEndian.Uint64(ids[8*i:])
		if id >= uint64(len(t.seen)) || t.seen[id] {
			return damaged(t.freelist)
		}
		t.seen[id] = true
	}
	for n, seen := range t.seen {
		if !seen {
			return damaged(uint64(n))
		}
	}
	return nil
}
