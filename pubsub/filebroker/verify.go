package filebroker

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"hash/fnv"
	"io"
	"os"

	"go.etcd.io/bbolt"
)

// verify reads both meta pages and the whole tree of pages, without bbolt, which trusts
// every number that it maps into memory: a damaged one would end the process, have it
// loop for ever, or overwrite other pages. What the entries of a bucket contain is
// compared with its sum of checksums. The layout of pages is in bbolt's
// internal/common/page.go; numbers are in the byte order of the machine.
func verify(ctx context.Context, tx *bbolt.Tx, fileSize int64) (err error) {
	file, err := os.Open(tx.DB().Path())
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	// Any number of a damaged file may be out of range, which only this finds.
	defer func() {
		if recover() != nil {
			err = cmp.Or(ctx.Err(), errContent)
		}
	}()
	must(tx.Size() <= fileSize)
	t := tree{file: file, pageSize: int64(tx.DB().Info().PageSize)}
	t.used = make([]bool, tx.Size()/t.pageSize)
	for number := range int64(2) {
		t.meta(number)
	}
	t.walk(ctx, t.page(uint64(tx.Cursor().Bucket().Root())), nil)
	return nil
}

// must panics, which verify recovers from, if a file is not as it should be.
func must(ok bool) {
	if !ok {
		panic(errContent)
	}
}

// The layout of a page: a header (its number, kind, how many elements it has, and how
// many further pages belong to it), the elements, and their keys and values.
const (
	pageHeader  = 16
	branchPage  = 0x01
	leafPage    = 0x02
	elementSize = 16
	bucketFlag  = 0x01 // of an element of a leaf
	bucketHead  = 16   // of a bucket: its root page and its sequence number
	metaSize    = 64
)

type tree struct {
	file     io.ReaderAt
	pageSize int64
	used     []bool // by page
	sum      uint64 // of the checksums in the bucket that is read
}

var (
	u16 = binary.NativeEndian.Uint16
	u32 = binary.NativeEndian.Uint32
	u64 = binary.NativeEndian.Uint64
)

// meta checks a meta page. Each commit writes one of them, in turn. If the newer one is
// damaged, bbolt takes the older one, and the last commit is lost.
func (t *tree) meta(number int64) {
	page := t.read(number*t.pageSize, pageHeader+metaSize)
	sum := fnv.New64a()
	_, _ = sum.Write(page[pageHeader : pageHeader+metaSize-8])
	must(sum.Sum64() == u64(page[pageHeader+metaSize-8:]))
	t.used[number] = true
}

func (t *tree) read(offset, size int64) []byte {
	content := make([]byte, size)
	_, err := t.file.ReadAt(content, offset)
	must(err == nil)
	return content
}

// page returns a page, and those that belong to it. None may be in use yet.
func (t *tree) page(number uint64) []byte {
	must(number < uint64(len(t.used)))
	offset := int64(number) * t.pageSize
	page := t.read(offset, t.pageSize)
	must(u64(page) == number)
	further := int64(u32(page[12:]))
	for n := range t.used[number : int64(number)+further+1] {
		must(!t.used[int(number)+n])
		t.used[int(number)+n] = true
	}
	if further == 0 {
		return page
	}
	return t.read(offset, (further+1)*t.pageSize)
}

// walk checks the tree below a page, whose keys are bound or above it, and returns its
// last key.
func (t *tree) walk(ctx context.Context, page, bound []byte) (last []byte) {
	must(ctx.Err() == nil)
	kind, count := u16(page[8:]), int(u16(page[10:]))
	must(kind == leafPage || kind == branchPage && count > 0)
	last = bound
	for i := range count {
		e := page[pageHeader+i*elementSize:]
		flags, start, keySize, valueSize := u32(e), u32(e[4:]), u32(e[8:]), u32(e[12:])
		if kind == branchPage {
			start, keySize, valueSize = u32(e), u32(e[4:]), 0 // and the number of a page
		}
		key := e[start:][:keySize]
		value := e[start:][keySize:][:valueSize]
		order := bytes.Compare(key, last)
		must(keySize > 0 && (order > 0 || order == 0 && i == 0))
		switch {
		case kind == branchPage:
			last = t.walk(ctx, t.page(u64(e[8:])), key)
		case flags&bucketFlag != 0:
			last = key
			t.bucket(ctx, value)
		default:
			last = key
			t.sum += checksum(key, value)
		}
	}
	return last
}

// bucket checks a bucket, which has a root page, or is small, and its only page follows
// in the value itself.
func (t *tree) bucket(ctx context.Context, value []byte) {
	outer := t.sum
	t.sum = 0
	page := value[bucketHead:]
	if root := u64(value); root != 0 {
		page = t.page(root)
	}
	t.walk(ctx, page, nil)
	must(t.sum == u64(value[8:]))
	t.sum = outer
}
