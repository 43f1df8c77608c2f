package redisbroker

import (
	"context"

	"example.com/sse-demo/pubsub"
)

// checkSuspect looks for the suspect in Redis. If Redis has older entries, but not this
// one, it has lost the entry. A process that never read it cannot notice the loss, so
// this one records it: it appends an anchor with the entry's id. If Redis has no older
// entries either, it may give out lower ids from now on, which no process would read;
// so an anchor with a higher id is appended.
//
// While Redis accepts no writes, the entry stays suspect: such a Redis may be a replica
// that is about to take over the entries of another master.
func (s *stream) checkSuspect(ctx context.Context) error {
	if s.suspect == (pubsub.ID{}) {
		return nil
	}
	id := s.suspect.String()
	upTo, err := s.reads.XRevRangeN(ctx, s.options.Key, id, "-", 1).Result()
	switch {
	case err != nil:
		return err
	case len(upTo) == 0:
		err = s.anchor(ctx, "")
	case upTo[0].ID != id:
		err = s.anchor(ctx, id)
	default:
		_, err = s.run(ctx, s.reads, probeScript)
	}
	if err == nil {
		s.suspect = pubsub.ID{}
	} else if !isRefusal(err) {
		return err
	}
	return nil
}

// anchor appends an entry that holds no event, to read on from. lost is the id of an entry
// that Redis has lost, or "". It uses reads, as checkSuspect does, because the two clients
// may be connected to different servers.
func (s *stream) anchor(ctx context.Context, lost string) error {
	limited, cancel := context.WithTimeout(ctx, s.options.timing.publish)
	defer cancel()
	_, err := s.add(limited, s.reads, anchorChannel, "", &sentData{data: []byte(lost)})
	return err
}

// follows reports whether no entries are missing between e and the one that was read
// before it: XREAD does not report what was trimmed or lost. The totals of two entries
// differ by the sizes of those that come after the first, up to the second. An entry of
// another program has no total; the next one that has includes its size.
func (s *stream) follows(e entry) bool {
	return s.total < 0 || e.total < 0 || e.total-e.size == s.total
}

// maxLooked is as in shared.lua.
const maxLooked = 40 << 20

// checkTotal gives subscribers a gap if entries before e are missing.
func (s *stream) checkTotal(e entry) {
	if !s.follows(e) {
		s.lose(e)
	}
	if e.total >= 0 {
		s.total, s.others = e.total, 0
		return
	}
	s.others += e.size
	if s.others >= maxLooked || s.total < 0 { // the scripts do not look further back for a total
		s.total = -1
	} else {
		s.total += e.size
	}
}

// checkAnchor gives subscribers a gap if another process has read entries that Redis has
// lost.
func (s *stream) checkAnchor(e entry) {
	if lost, ok := pubsub.ParseID(e.data); ok && lost.Compare(s.lost) >= 0 {
		s.lose(e)
	}
}

// lose gives all subscribers a gap before e.
func (s *stream) lose(e entry) {
	s.options.Logger.Warn("Redis no longer has entries that come before this one; subscribers get a gap", "last", s.arrivals.position(), "next", e.id)
	s.lost = e.id
	s.loseBefore(e.id)
}
