package filebroker

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"slices"

	"example.com/sse-demo/pubsub"
)

const (
	version = "sse-demo log v1"
	// headerSize keeps the header, which fits into a sector of the disk, out of the blocks
	// of the log: a disk writes it as a whole or not at all.
	headerSize = 4096
)

var errContent = errors.New("it is damaged, or no data file of this version of sse-demo")

// A log is the data file: records, one after the other, between begin and end, and a header
// that has this place. Elsewhere in the file may be what a kill has left.
type log struct {
	*os.File
	begin, end int64
}

// append adds records, and returns when they are on the disk. If end has moved, they count
// also after an error.
func (l *log) append(records []byte) error {
	if _, err := l.WriteAt(records, l.end); err != nil {
		return err
	}
	return l.setPlace(l.begin, l.end+int64(len(records)))
}

// setPlace has the records between begin and end count. It syncs them before the header,
// so that the header never counts what a power cut undoes.
func (l *log) setPlace(begin, end int64) error {
	if err := l.Sync(); err != nil {
		return err
	}
	l.begin, l.end = begin, end // also if the header fails, because the disk may have it
	if _, err := l.WriteAt(l.header().appendTo(nil), 0); err != nil {
		return err
	}
	return l.Sync()
}

// header is a record whose id is the place of the log.
func (l *log) header() record {
	return record{kind: headerKind, id: pubsub.ID{uint64(l.begin), uint64(l.end)}, name: version}
}

func (l *log) readHeader() error {
	content := make([]byte, l.header().size())
	if _, err := l.ReadAt(content, 0); err != nil {
		return err
	}
	r, err := parseRecord(content)
	if err == nil && r.name != version {
		err = errContent
	}
	l.begin, l.end = int64(r.id[0]), int64(r.id[1])
	return err
}

// scan passes each record to see, in order. see must not keep its data.
func (l *log) scan(ctx context.Context, see func(record) error) error {
	in := bufio.NewReaderSize(io.NewSectionReader(l, l.begin, l.end-l.begin), 1<<20)
	var content []byte
	for at := l.begin; at < l.end; at += int64(len(content)) {
		head, err := in.Peek(headSize)
		if err != nil {
			return err
		}
		size := headSize + int64(order.Uint32(head[4:]))
		if size > l.end-at {
			return errContent
		}
		content = slices.Grow(content[:0], int(size))[:size]
		if _, err := io.ReadFull(in, content); err != nil {
			return err
		}
		r, err := parseRecord(content)
		if err != nil {
			return err
		}
		if err := cmp.Or(ctx.Err(), see(r)); err != nil {
			return err
		}
	}
	return nil
}

// moveToFront copies the log to the beginning of the file, where there is room for it.
func (l *log) moveToFront() error {
	if err := l.setPlace(l.begin, l.end); err != nil { // again, if the header could not be written before
		return err
	}
	size := l.end - l.begin
	if _, err := io.Copy(io.NewOffsetWriter(l, headerSize), io.NewSectionReader(l, l.begin, size)); err != nil {
		return err
	}
	if err := l.setPlace(headerSize, headerSize+size); err != nil {
		return err
	}
	return l.Truncate(l.end)
}

// A record is an entry of the log.
type record struct {
	kind          byte
	id            pubsub.ID
	channel, name string
	data          []byte
}

// The kinds of records.
const (
	headerKind  = 'h'
	eventKind   = 'e'
	messageKind = 'm' // of the journal
	lossKind    = 'l' // events of a channel up to an id are lost; without a channel, of any
)

// In the file a record is a head, the channel, the name, a line feed, and the data. The
// head is a checksum of all that follows it, the size of what follows the head, the kind,
// the id, and the size of the channel.
const headSize = 4 + 4 + 1 + 16 + 2

var (
	order     = binary.BigEndian
	checksums = crc32.MakeTable(crc32.Castagnoli)
)

// size is how many bytes the record takes in the file.
func (r record) size() int64 {
	return int64(headSize + len(r.channel) + len(r.name) + len("\n") + len(r.data))
}

// appendTo appends the record as it is in the file.
func (r record) appendTo(b []byte) []byte {
	start := len(b)
	b = order.AppendUint32(b, 0) // the checksum
	b = order.AppendUint32(b, uint32(r.size()-headSize))
	b = append(b, r.kind)
	b = order.AppendUint64(b, r.id[0])
	b = order.AppendUint64(b, r.id[1])
	b = order.AppendUint16(b, uint16(len(r.channel)))
	b = append(b, r.channel...)
	b = append(b, r.name...)
	b = append(b, '\n')
	b = append(b, r.data...)
	order.PutUint32(b[start:], crc32.Checksum(b[start+4:], checksums))
	return b
}

// parseRecord reads a record. Its data shares the memory of content.
func parseRecord(content []byte) (record, error) {
	if crc32.Checksum(content[4:], checksums) != order.Uint32(content) {
		return record{}, errContent
	}
	r := record{kind: content[8], id: pubsub.ID{order.Uint64(content[9:]), order.Uint64(content[17:])}}
	channelEnd := headSize + int(order.Uint16(content[25:]))
	name, data, _ := bytes.Cut(content[channelEnd:], []byte("\n"))
	r.channel, r.name, r.data = string(content[headSize:channelEnd]), string(name), data
	return r, nil
}
