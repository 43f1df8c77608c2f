package market

import "time"

// SetClock replaces the wall clock, before the first feed.
func (m *Market) SetClock(now func() time.Time) { m.now = now }

// Timers returns how many timers run: one for each interval that has feeds.
func (m *Market) Timers() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.wakes)
}
