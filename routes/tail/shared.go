package tail

import "example.com/sse-demo/sse"

// What feeds and their workers ask of the follower. All of it may be called by any
// goroutine, and is quick.

// after returns a batch of the lines that follow p in memory; ok is false if memory
// has dropped some of them.
func (f *Follower) after(p place) (lines []line, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.memory.after(p)
}

// gap returns the gap event of a client that has lost what follows after, and the id
// before the oldest line in memory, with which it goes on.
func (f *Follower) gap(after string) (frame []byte, before lineID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	oldest := ""
	if len(f.memory.lines) > 0 {
		oldest = f.memory.lines[0].id.String()
	}
	return sse.AppendGap(nil, after, oldest), f.memory.start
}

// generation returns a copy of the generation with this epoch, and where the next one
// begins, which is nil if there is none.
func (f *Follower) generation(epoch int64) (g generation, next *place, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, g := range f.gens {
		if g.epoch != epoch {
			continue
		}
		if i+1 < len(f.gens) {
			start := f.gens[i+1].start.place
			next = &start
		}
		return *g, next, true
	}
	return g, nil, false
}

// askForLook has the follower look for what is new, and returns the number of this
// look. A follower that does not run has looked.
func (f *Follower) askForLook() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.running || f.ended {
		return f.looked
	}
	f.looks++
	wakeUp(f.poke)
	return f.looks
}

// goal returns the end of the newest line that this look has found; nil if the look
// is not done.
func (f *Follower) goal(look uint64) *place {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.looked < look && !f.ended {
		return nil
	}
	end := f.memory.end().place
	return &end
}

// join has tell called when a feed may have more.
func (f *Follower) join(c *Feed, tell func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.feeds[c] = tell
}

func (f *Follower) leave(c *Feed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.feeds, c)
}

func (f *Follower) hasEnded() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ended
}

// startWorker runs a worker, unless the follower has ended.
func (f *Follower) startWorker(w *worker) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.ended {
		f.workers.Go(w.run)
	}
	return !f.ended
}
