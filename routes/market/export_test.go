package market

import "time"

// SetClock replaces the wall clock, before the first feed.
func (m *Market) SetClock(now func() time.Time) { m.now = now }
