package routes

import "context"

// Drain ends every stream cleanly and lets no new one begin. Give it to
// [http.Server.RegisterOnShutdown]: Shutdown waits for streams, but does not end
// them.
func (s *Server) Drain() { s.drain.Do(func() { close(s.draining) }) }

func (s *Server) isDraining() bool {
	select {
	case <-s.draining:
		return true
	default:
		return false
	}
}

// Wait waits for the streams that net/http no longer knows of, after Drain. It
// returns ctx.Err() where that comes first.
func (s *Server) Wait(ctx context.Context) error {
	over := make(chan struct{})
	go func() { s.sweeping.Wait(); close(over) }()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close cuts off the streams that have not ended by themselves after Drain.
func (s *Server) Close() {
	s.Drain()
	s.cut.Do(func() {
		for _, sweeper := range s.sweepers {
			close(sweeper.abort)
		}
	})
	s.sweeping.Wait()
}
