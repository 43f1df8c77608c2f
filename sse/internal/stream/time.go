package stream

import "time"

// heartbeat is a comment, which clients ignore and proxies count as a sign of life.
var heartbeat = []byte(": heartbeat\n")

// onDue appends a heartbeat if there is nothing else to send, and the stream was silent
// for too long. Due is not set with every event, so the silence may just have begun.
func (s *Stream) onDue(frames [][]byte, now time.Time) [][]byte {
	if s.Heartbeat > 0 && now.Sub(s.lastWrite) >= s.Heartbeat {
		if len(frames) == 0 {
			frames = append(frames, heartbeat)
			s.Pending.Bytes += int64(len(heartbeat))
		}
		s.lastWrite = now
	}
	s.Due = now.Add(s.untilDue(now)) // by the clock of timers: by the other, a deadline can be later
	return frames
}

// untilDue is how long it is until a heartbeat or the end may be due.
func (s *Stream) untilDue(now time.Time) time.Duration {
	wait := longest
	if s.Heartbeat > 0 {
		wait = s.lastWrite.Add(s.Heartbeat).Sub(now)
	}
	if !s.Deadline.IsZero() {
		wait = min(wait, s.Deadline.Sub(now))
	}
	if s.PollUntil.After(now) {
		wait = min(wait, s.PollUntil.Sub(now))
	}
	return wait
}

// PieceSize is how many bytes share one write deadline, so that a client on a slow
// line is not cut off in the middle of a large batch.
const PieceSize = 4 << 10

// slowestRate is the rate at which a client is taken to read what was written, in
// bytes a second.
const slowestRate = 64 << 10

// MaxPatience is the longest stall that is allowed, in write timeouts.
const MaxPatience = 11

// AddBacklog notes that n bytes are written now. A client may still be reading earlier
// data: what a write hands over waits in buffers of the client's kernel, of proxies
// and of the client itself. Some of these take 10 MiB at once, and then nothing until
// all of it is read.
func (s *Stream) AddBacklog(n int64, now time.Time) {
	backlog := s.backlog(now) + time.Duration(n)*time.Second/slowestRate
	s.readUntil = now.Add(min(backlog, (MaxPatience-1)*s.WriteTimeout))
}

// backlog is how long a client at slowestRate still reads what was written.
func (s *Stream) backlog(now time.Time) time.Duration { return max(s.readUntil.Sub(now), 0) }

// Patience is how long the client may take no bytes from now on: the write timeout
// after its backlog. Without a timeout it is 0.
func (s *Stream) Patience(now time.Time) time.Duration {
	if s.WriteTimeout == 0 {
		return 0
	}
	return s.WriteTimeout + s.backlog(now)
}
