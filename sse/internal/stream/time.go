package stream

import "time"

// heartbeat is a comment, which clients ignore and proxies count as a sign of life.
var heartbeat = [][]byte{[]byte(": heartbeat\n")}

// DueHeartbeat returns a comment to be sent if the stream was silent for too long.
func (s *Stream) DueHeartbeat(now time.Time) [][]byte {
	if s.Heartbeat <= 0 || now.Sub(s.lastWrite) < s.Heartbeat {
		return nil
	}
	s.Pending.Bytes += int64(len(heartbeat[0]))
	return heartbeat
}

// Due returns when the stream needs a heartbeat or may have to end, if nothing wakes
// it before.
func (s *Stream) Due(now time.Time) time.Time {
	due := now.Add(longest)
	if s.Heartbeat > 0 {
		due = s.lastWrite.Add(s.Heartbeat)
	}
	if !s.Deadline.IsZero() {
		due = earlier(due, s.Deadline)
	}
	switch {
	case s.PollUntil.After(now):
		due = earlier(due, s.PollUntil)
	case !s.PollUntil.IsZero(): // the source is behind
		due = earlier(due, now.Add(time.Second))
	}
	return due
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
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
	if s.readUntil.Before(now) {
		s.readUntil = now
	}
	most := now.Add((MaxPatience - 1) * s.WriteTimeout)
	s.readUntil = earlier(s.readUntil.Add(time.Duration(n)*time.Second/slowestRate), most)
}

// Patience is how long the client may take no bytes from now on: the write timeout,
// and before that the time in which a client at slowestRate has read what was written.
// Without a timeout it is 0.
func (s *Stream) Patience(now time.Time) time.Duration {
	if s.WriteTimeout == 0 {
		return 0
	}
	return s.WriteTimeout + max(s.readUntil.Sub(now), 0)
}
