package redisbroker

import (
	"context"

	"example.com/sse-demo/pubsub"
)

// checkSuspect looks for the suspect in Redis. A process that never read the entry cannot
// notice its loss, so check.lua records the loss in the stream. It is run by reads, because
// the two clients may be connected to different servers.
//
// While Redis accepts no writes, the entry stays suspect: such a Redis may be a replica
// that is about to take over the entries of another master.
func (s *stream) checkSuspect(ctx context.Context) error {
	if s.suspect == (pubsub.ID{}) {
		return nil
	}
	_, err := s.run(ctx, s.reads, checkScript, s.suspect.String())
	if isRefusal(err) {
		return nil
	}
	if err == nil {
		s.suspect = pubsub.ID{}
	}
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

// lose gives all subscribers a gap before e.
func (s *stream) lose(e entry) {
	s.options.Logger.Warn("Redis no longer has entries that come before this one; subscribers get a gap", "id", e.id)
	s.lost = e.id
	s.loseBefore(e.id)
}
