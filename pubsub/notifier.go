package pubsub

import (
	"runtime"
	"sync"
)

// notifyAtOnce is how many subscribers are notified under one lock.
const notifyAtOnce = 128

// A notifier is the lock of one or more logs, and notifies their subscribers of
// new events. It does so in a separate goroutine, which exists only while there
// is something to notify of: a publisher does not pay for the subscribers.
type notifier struct {
	sync.RWMutex
	pending []*Log // whose subscribers are to be notified
	running bool
}

// notify has the subscribers of a log notified, unless they have been and none of
// them has read since. It needs the lock.
func (n *notifier) notify(l *Log) {
	if l.pending || len(l.subs) == 0 || !l.wasRead.Load() {
		return
	}
	l.pending = true
	n.pending = append(n.pending, l)
	if !n.running {
		n.running = true
		go n.run()
	}
}

func (n *notifier) run() {
	for {
		runtime.Gosched() // publishers that are ready go first, so that one pass announces all of their events
		n.Lock()
		last := len(n.pending) - 1
		if last < 0 {
			n.running = false
			n.Unlock()
			return
		}
		log := n.pending[last]
		n.pending[last] = nil
		n.pending = n.pending[:last]
		log.pending = false
		log.wasRead.Store(false)
		left := len(log.subs)
		n.Unlock()
		for left > 0 {
			left = n.wakeSome(log, left)
		}
	}
}

// wakeSome wakes some of the first left subscribers, from the back, and returns
// how many of them remain. Between two calls subscribers may leave: the last one
// then takes their index (see Log.leave), so none is passed over. Those that join
// need not be notified.
func (n *notifier) wakeSome(l *Log, left int) int {
	n.RLock()
	defer n.RUnlock()
	left = min(left, len(l.subs))
	for range min(left, notifyAtOnce) {
		left--
		l.subs[left].of.wake()
	}
	return left
}
