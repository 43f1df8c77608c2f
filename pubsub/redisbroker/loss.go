package redisbroker

import (
	"context"

	"example.com/sse-demo/pubsub"
)

// checkPosition finds out whether Redis still has the entry last. If it is gone,
// new ones might come before it, unseen, so an entry is added that comes after it.
// If older entries are there, it was not trimmed but lost, and other processes may
// not know: to those that have not read it, all fits. The new entry has its id.
func (b *Broker) checkPosition(ctx context.Context) error {
	last := b.last.String()
	upTo, err := b.reads.XRevRangeN(ctx, b.options.Key, last, "-", 1).Result()
	switch {
	case err != nil:
		return err
	case len(upTo) == 0:
		return b.anchor(ctx, "")
	case upTo[0].ID != last:
		return b.anchor(ctx, last)
	}
	return nil
}

// anchor appends an entry that holds no event, so that there is one to read on from.
// It uses the connection of reads, so that it goes to the Redis that was checked.
func (b *Broker) anchor(ctx context.Context, lost string) error {
	limited, cancel := context.WithTimeout(ctx, b.options.timing.publish)
	defer cancel()
	_, err := b.add(limited, b.reads, b.last, anchorChannel, "", &sentData{data: []byte(lost)})
	return err
}

// checkTotal finds out whether entries before e are missing: XREAD does not report
// what was trimmed or lost. The totals of two entries that follow each other differ
// by the size of the second.
func (b *Broker) checkTotal(e entry) {
	if e.total < 0 {
		return
	}
	if b.total >= 0 && e.total-size(e.channel, e.name, e.data) != b.total {
		b.lose(e)
	}
	b.total = e.total
}

// checkAnchor finds out whether another process has read events that Redis has lost.
func (b *Broker) checkAnchor(e entry) {
	if lost, ok := pubsub.ParseID(e.data); ok && lost.Compare(b.lost) > 0 {
		b.lose(e)
	}
}

// lose gives all subscribers a gap before e.
func (b *Broker) lose(e entry) {
	b.options.Logger.Warn("Redis no longer has events that come before this one; subscribers get a gap", "last", b.last, "next", e.id)
	b.lost = e.id.Previous()
	b.mirror.Lose(b.lost)
}
