package tail

import (
	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/sse"
)

// readFile reads the next chunk of a file.
func (w *worker) readFile() {
	end, ok := w.follower.extent(&w.at)
	switch {
	case !ok || w.at.offset < end && !w.readChunk(end):
		w.lose()
	case w.at.offset >= end:
		w.passEnd()
	}
}

// readChunk is false if the file cannot be read any more.
func (w *worker) readChunk(limit int64) bool {
	if w.reader == nil {
		r, err := w.follower.openAt(&w.at)
		if err != nil {
			return false
		}
		w.reader = r
	}
	if n, err := w.reader.fill(limit); err != nil || n == 0 {
		return false
	}
	w.at.offset = w.reader.read
	var last pubsub.ID
	for id, frame, ok := w.reader.next(); ok && !w.isStopped(); id, frame, ok = w.reader.next() {
		last = id
		w.at.line = pubsub.ID{w.at.gen.number, id[1]}
		w.offer(frame)
	}
	w.handOver()
	if last[1] > 0 {
		w.setSearched(last.String())
	}
	return true
}

// passEnd goes on after the end of a file, in the next one or in memory. The line
// without an end is complete if the file was rotated away.
func (w *worker) passEnd() {
	if w.reader != nil { // the follower never stops within a line but there
		if id, frame, ok := w.reader.rest(); ok {
			w.at.line = pubsub.ID{w.at.gen.number, id[1]}
			w.offer(frame)
		}
	}
	g := w.at.gen
	if !w.follower.nextFile(&w.at) {
		w.lose()
		return
	}
	if w.at.gen != g {
		w.reader = nil
		w.handOver()
		w.setSearched(w.at.gen.start.String())
	}
}

// lose goes on in memory if the file cannot be read any more: after a gap, unless
// memory has what follows.
func (w *worker) lose() {
	line := w.at.line
	w.reader = nil
	w.follower.leave(&w.at)
	l, _ := w.follower.locate(line)
	if l.live == nil {
		w.follower.leave(&l)
		var oldest string
		l, _, oldest = w.follower.oldest()
		w.batch = append(w.batch, sse.AppendGap(nil, string(w.after), oldest))
	}
	w.at = l
}

// readMemory matches the next lines in memory, or waits for some.
func (w *worker) readMemory() {
	w.reader = nil
	if w.source != w.at.live {
		w.source = w.at.live
		w.source.Notify(func() { wakeUp(w.more) })
	}
	entries, ok := w.follower.read(&w.at, w.entries[:0])
	if !ok {
		return // they are in the file
	}
	for _, e := range entries {
		w.offer(e.Frame)
	}
	n := len(entries)
	clear(entries)
	w.entries = entries
	if n > 0 {
		w.handOver()
		w.setSearched(string(w.at.id))
		return
	}
	w.flush()
	w.waitForMore()
}

func (w *worker) waitForMore() {
	select {
	case <-w.caughtUp:
	default:
		close(w.caughtUp)
	}
	select {
	case <-w.more:
	case <-w.stop:
	case <-w.follower.closing:
	}
}
