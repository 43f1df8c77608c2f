package job

// Running is the number of jobs whose work has not returned, on this replica.
func (m *Manager) Running() int { return len(m.slots) }
