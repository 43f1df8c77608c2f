package filebroker

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"io"
	"os"

	"go.etcd.io/bbolt"
)

// load reads the whole file, if no process writes to it, and delivers its records.
func (b *Broker) load(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("it is no regular file")
	case info.Size() == 0:
		return errors.New("it is empty; remove it to begin anew")
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	// This locks the file. To read, bbolt needs only the meta pages.
	db, err := bbolt.Open(path, 0, &bbolt.Options{ReadOnly: true, Timeout: lockTimeout})
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return db.View(func(tx *bbolt.Tx) error {
		messages, err := b.loadPages(ctx, tx, file, info.Size())
		for _, r := range messages {
			_, _ = b.deliver(r) // to observers, which return no error
		}
		return err
	})
}

// loadPages reads both meta pages and the whole tree of pages, without bbolt, which trusts
// every number that it maps into memory: a damaged one would end the process, have it
// loop for ever, or overwrite other pages. The records are compared with the sum of their
// checksums. loadPages returns the messages of the journal: observers get those of a whole
// file only.
func (b *Broker) loadPages(ctx context.Context, tx *bbolt.Tx, file io.ReaderAt, fileSize int64) (messages []record, err error) {
	// Any number of a damaged file may be out of range, which only this finds.
	defer func() {
		if recover() != nil {
			messages, err = nil, cmp.Or(ctx.Err(), errContent)
		}
	}()
	must(tx.Size() <= fileSize)
	pageSize := int64(tx.DB().Info().PageSize)
	t := tree{file: file, pageSize: pageSize, used: make([]bool, tx.Size()/pageSize)}
	t.meta(0)
	t.meta(1)
	b.loaded = tx.ID()
	found := false
	t.walk(t.page(uint64(tx.Cursor().Bucket().Root())), nil, func(flags uint32, name, bucket []byte) {
		must(flags == bucketFlag && bytes.Equal(name, bucketName))
		found = true
		records := bucket[bucketHead:] // the page of a small bucket
		if root := machine.Uint64(bucket); root != 0 {
			records = t.page(root)
		}
		t.walk(records, nil, func(flags uint32, key, value []byte) {
			r := parseRecord(key, value)
			b.account.add(1, key, value)
			if r.id.Compare(b.last) > 0 {
				b.last = r.id // new ids go on after the newest
			}
			must(flags == 0 && ctx.Err() == nil)
			if r.kind == messageKind {
				messages = append(messages, r)
				return
			}
			_, err := b.deliver(r)
			must(err == nil)
		})
		must(b.account.sum == machine.Uint64(bucket[8:]))
	})
	must(found)
	return messages, nil
}

// must panics, which loadPages recovers from, if a file is not as it should be.
func must(ok bool) {
	if !ok {
		panic(errContent)
	}
}

// The layout of a page, as in bbolt's internal/common/page.go: a header (its number, kind,
// how many elements it has, and how many further pages belong to it), the elements, and
// their keys and values.
const (
	pageHeader  = 16
	branchPage  = 0x01
	leafPage    = 0x02
	elementSize = 16
	bucketFlag  = 0x01 // of an element of a leaf
	bucketHead  = 16   // of a bucket: its root page and its sequence number
	metaSize    = 64
)

var machine = binary.NativeEndian // the order of bytes that bbolt writes

type tree struct {
	file     io.ReaderAt
	pageSize int64
	used     []bool // by page
}

func (t *tree) read(number uint64, size int64) []byte {
	content := make([]byte, size)
	_, err := t.file.ReadAt(content, int64(number)*t.pageSize)
	must(err == nil)
	return content
}

// meta checks a meta page. Each commit writes one of them, in turn. If the newer one is
// damaged, bbolt takes the older one, and the last commit is lost.
func (t *tree) meta(number uint64) {
	meta := t.read(number, t.pageSize)[pageHeader:][:metaSize]
	sum := fnv.New64a()
	_, _ = sum.Write(meta[:metaSize-8])
	must(sum.Sum64() == machine.Uint64(meta[metaSize-8:]))
	t.used[number] = true
}

// page returns a page, and those that belong to it. None may be in use yet.
func (t *tree) page(number uint64) []byte {
	header := t.read(number, pageHeader)
	count := 1 + int64(machine.Uint32(header[12:]))
	own := t.used[number:][:count]
	for i := range own {
		must(!own[i])
		own[i] = true
	}
	must(machine.Uint64(header) == number)
	return t.read(number, count*t.pageSize)
}

// walk passes the elements of all leaves below a page to each. It checks that their keys
// rise, are bound or above it, and are where bbolt looks for them. It returns the last key.
func (t *tree) walk(page, bound []byte, each func(flags uint32, key, value []byte)) (last []byte) {
	kind, count := machine.Uint16(page[8:]), int(machine.Uint16(page[10:]))
	must(kind == leafPage || kind == branchPage && count > 0)
	last = bound
	for i := range count {
		e := page[pageHeader+i*elementSize:]
		flags, start, keySize, valueSize := machine.Uint32(e), machine.Uint32(e[4:]), machine.Uint32(e[8:]), machine.Uint32(e[12:])
		if kind == branchPage {
			start, keySize, valueSize = machine.Uint32(e), machine.Uint32(e[4:]), 0 // and the number of a page
		}
		key := e[start:][:keySize]
		value := e[start:][keySize:][:valueSize]
		order := bytes.Compare(key, last)
		must(keySize > 0 && (order > 0 || order == 0 && i == 0))
		last = key
		if kind == branchPage {
			last = t.walk(t.page(machine.Uint64(e[8:])), key, each)
		} else {
			each(flags, key, value)
		}
	}
	return last
}
