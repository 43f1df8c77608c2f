package redisbroker

import (
	"context"

	"example.com/sse-demo/pubsub"
)

// checkPosition finds out whether Redis still has the entry last. If it is gone,
// new ones might come before it, unseen, so an entry is added that comes after it.
// If older entries are there, it was not trimmed but lost, and other processes may
// not know: to those that have not read it, all fits. The new entry has its id.
func (s *stream) checkPosition(ctx context.Context) error {
	last := s.arrivals.position().String()
	upTo, err := s.reads.XRevRangeN(ctx, s.options.Key, last, "-", 1).Result()
	switch {
	case err != nil:
		return err
	case len(upTo) == 0:
		return s.anchor(ctx, "")
	case upTo[0].ID != last:
		return s.anchor(ctx, last)
	}
	return nil
}

// anchor appends an entry that holds no event, so that there is one to read on from.
// It uses the connection of reads, so that it goes to the Redis that was checked.
func (s *stream) anchor(ctx context.Context, lost string) error {
	limited, cancel := context.WithTimeout(ctx, s.options.timing.publish)
	defer cancel()
	_, err := s.add(limited, s.reads, s.arrivals.position(), anchorChannel, "", &sentData{data: []byte(lost)})
	return err
}

// checkTotal finds out whether entries before e are missing: XREAD does not report
// what was trimmed or lost. The totals of two entries that follow each other differ
// by the size of the second.
func (s *stream) checkTotal(e entry) {
	if e.total < 0 {
		return
	}
	if s.total >= 0 && e.total-size(e.channel, e.name, e.data) != s.total {
		s.lose(e)
	}
	s.total = e.total
}

// checkAnchor finds out whether another process has read events that Redis has lost.
func (s *stream) checkAnchor(e entry) {
	if lost, ok := pubsub.ParseID(e.data); ok && lost.Compare(s.lost) >= 0 {
		s.lose(e)
	}
}

// lose gives all subscribers a gap before e.
func (s *stream) lose(e entry) {
	s.options.Logger.Warn("Redis no longer has events that come before this one; subscribers get a gap", "last", s.arrivals.position(), "next", e.id)
	s.lost = e.id
	s.sink.loseBefore(e.id)
}
