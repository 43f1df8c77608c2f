package routes

import (
	"container/heap"
	"time"
)

// beat sends the heartbeats that are due, and ends streams whose time is over.
func (s *sweeper) beat(now time.Time) {
	for len(s.clock) > 0 && !s.clock[0].sweep.due.After(now) {
		v := s.clock[0]
		if s.isBusy(v) {
			v.sweep.due = now.Add(s.server.Stream.Heartbeat)
			heap.Fix(&s.clock, 0)
			continue
		}
		if v.mustEnd() != "" {
			s.serve(v)
			continue
		}
		s.guard(v, func() error { return v.stream.TryHeartbeat(&s.buffer) })
		if !v.sweep.over && !s.isBusy(v) {
			v.sweep.due = v.nextDue()
			heap.Fix(&s.clock, v.sweep.place)
		}
	}
}

// nextDue is when the stream needs a heartbeat or has to end.
func (v *visit) nextDue() time.Time {
	due := v.stream.NextHeartbeat()
	if !v.expires.IsZero() && v.expires.Before(due) {
		due = v.expires
	}
	return due
}

// untilDue is how long the sweeper may sleep: no longer than a heartbeat, so that
// streams which join meanwhile are on the clock before their first.
func (s *sweeper) untilDue() time.Duration {
	wait := s.server.Stream.Heartbeat
	if len(s.clock) > 0 {
		wait = min(wait, time.Until(s.clock[0].sweep.due))
	}
	return wait
}

// clock is a heap of visits by the time at which they are due.
type clock []*visit

func (c clock) Len() int           { return len(c) }
func (c clock) Less(i, j int) bool { return c[i].sweep.due.Before(c[j].sweep.due) }

func (c clock) Swap(i, j int) {
	c[i], c[j] = c[j], c[i]
	c[i].sweep.place, c[j].sweep.place = i, j
}

func (c *clock) Push(v any) {
	v.(*visit).sweep.place = len(*c)
	*c = append(*c, v.(*visit))
}

func (c *clock) Pop() any {
	last := len(*c) - 1
	v := (*c)[last]
	(*c)[last] = nil
	*c = (*c)[:last]
	return v
}
