//go:build !unix

package redistest

// Pause skips the test: this system cannot stop a process where it is.
func (s *Server) Pause() { s.t.Skip("a process cannot be paused on this system") }

// Resume lets it go on.
func (s *Server) Resume() {}
