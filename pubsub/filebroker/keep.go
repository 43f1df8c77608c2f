package filebroker

import (
	"bufio"
	"cmp"
	"context"
	"io"
	"maps"
	"slices"

	"example.com/sse-demo/pubsub"
)

// kept passes the part of the log that still counts to see: what is lost, and then the
// events and messages that are kept.
func (b *Broker) kept(ctx context.Context, see func(record) error) error {
	lost := map[string]pubsub.ID{}
	var messages int64
	err := b.log.scan(ctx, func(r record) error {
		switch r.kind {
		case lossKind:
			lost[r.channel] = r.id
		case messageKind:
			messages += r.size()
		}
		return nil
	})
	if err != nil {
		return err
	}
	maps.Copy(lost, b.lost)
	for _, loss := range newestLosses(lost, b.maxLosses) {
		if err := see(loss); err != nil {
			return err
		}
	}
	return b.log.scan(ctx, func(r record) error {
		isKept := r.kind == eventKind && r.id.Compare(lost[r.channel]) > 0
		if r.kind == messageKind {
			messages -= r.size() // to what follows
			isKept = messages < b.maxMessages
		}
		if !isKept {
			return nil
		}
		return see(r)
	})
}

// newestLosses returns the newest losses in the order of their ids. If there are more, the
// first is of every channel: any client with an older id may have lost events.
func newestLosses(lost map[string]pubsub.ID, limit int) []record {
	var all []record
	for channel, id := range lost {
		all = append(all, record{kind: lossKind, id: id, channel: channel})
	}
	slices.SortFunc(all, func(a, b record) int { return a.id.Compare(b.id) })
	if more := len(all) - limit; more > 0 {
		all = all[more:]
		all[0].channel = ""
	}
	return all
}

// makeRoom compacts the log if it would be too long with n bytes more: what is kept is
// copied behind the log, and from there to the front. A kill leaves either whole.
func (b *Broker) makeRoom(n int) error {
	if b.log.begin > headerSize { // a kill or an error came between the copies
		return b.log.moveToFront()
	}
	if b.log.end+int64(n) <= b.maxFile {
		return nil
	}
	begin, end := b.log.end, b.log.end
	out := bufio.NewWriterSize(io.NewOffsetWriter(b.log, begin), 1<<20)
	var content []byte
	err := b.kept(context.Background(), func(r record) error {
		content = r.appendTo(content[:0])
		end += int64(len(content))
		_, err := out.Write(content)
		return err
	})
	if err = cmp.Or(err, out.Flush()); err != nil {
		_ = b.log.Truncate(b.log.end) // others need the room, too
		return err
	}
	if err := b.log.setPlace(begin, end); err != nil {
		return err
	}
	clear(b.lost)
	return b.log.moveToFront()
}
