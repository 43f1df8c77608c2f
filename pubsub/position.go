package pubsub

// Position is the id after which the subscription begins.
func (s *Subscription) Position() string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.last.String()
}
