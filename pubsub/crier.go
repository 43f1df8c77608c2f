package pubsub

import (
	"runtime"
	"sync"
)

// tellAtOnce is how many subscribers are woken under one lock.
const tellAtOnce = 128

// A crier is the lock of one or more logs, and tells their subscribers what is
// new. It does so in a goroutine of its own, which is there only while there is
// something to tell: a publisher does not pay for the subscribers.
type crier struct {
	sync.RWMutex
	news   []*Log
	crying bool
}

// cry has the subscribers of a log told, unless they have been and none of them
// has read since. It needs the lock.
func (c *crier) cry(l *Log) {
	if l.isNews || len(l.subs) == 0 || !l.wasRead.Load() {
		return
	}
	l.isNews = true
	c.news = append(c.news, l)
	if !c.crying {
		c.crying = true
		go c.run()
	}
}

func (c *crier) run() {
	for {
		runtime.Gosched() // who is about to publish goes first, so that one round tells of it all
		c.Lock()
		last := len(c.news) - 1
		if last < 0 {
			c.crying = false
			c.Unlock()
			return
		}
		log := c.news[last]
		c.news[last] = nil
		c.news = c.news[:last]
		log.isNews = false
		log.wasRead.Store(false)
		left := len(log.subs)
		c.Unlock()
		for left > 0 {
			left = c.tell(log, left)
		}
	}
}

// tell wakes some of the first left subscribers, from the back, and returns how
// many of them remain. Between two calls subscribers may leave: then the last one
// takes their place (see Log.leave), so that none is passed over. Those who join
// need not be told.
func (c *crier) tell(l *Log, left int) int {
	c.RLock()
	defer c.RUnlock()
	left = min(left, len(l.subs))
	for range min(left, tellAtOnce) {
		left--
		l.subs[left].of.wake()
	}
	return left
}
