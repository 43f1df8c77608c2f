//go:build !linux

package eventloop

// A watcher would wait for many clients at once.
type watcher struct{}

func (l *Loop) watches(*session) bool { return false }

func (*watcher) remove(*session) {}

func (*watcher) close() {}

// unacknowledged is not known here: progress is what the socket takes.
func (*conn) unacknowledged() int { return 0 }
