package eventloop

// maxInput is how many bytes a client may send after its request. They are
// dropped; a client that sends more is cut off.
const maxInput = 64 << 10

// watch has leave called when the client leaves.
func (s *session) watch() {
	if !s.worker.loop.watches(s) {
		s.worker.loop.running.Go(s.waitClosed)
	}
}

// waitClosed waits until the client leaves, or the connection is closed here.
func (s *session) waitClosed() {
	var dropped [256]byte
	for s.input <= maxInput {
		n, err := s.conn.socket.Read(dropped[:])
		if err != nil {
			break
		}
		s.input += n
	}
	s.leave()
}
