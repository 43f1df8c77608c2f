package eventloop

import (
	"net/http"
	"runtime"
	"sync"

	"example.com/sse-demo/sse"
)

// A Loop serves event streams from a few goroutines.
type Loop struct {
	mu       sync.Mutex
	workers  []*worker // none before the first stream
	next     int       // the worker that gets the next stream
	watcher  *watcher  // nil before the first stream that it can watch
	shutdown <-chan struct{}
	closed   chan struct{}
	running  sync.WaitGroup // workers, streams and the callbacks of their ends
}

// New returns a loop, to be ended by Close. Its goroutines begin with the first
// stream.
func New() *Loop { return &Loop{closed: make(chan struct{})} }

// Serve answers the request with an event stream, as [sse.Serve] does, but it may
// return before the stream has ended. It calls Options.Sent and Options.Ended from any
// goroutine.
//
// The streams of a loop share the Options.Shutdown of the first one: a stream with
// another is served in its handler.
//
// A source that panics ends only its own stream; the Outcome has an [sse.PanicError].
func (l *Loop) Serve(w http.ResponseWriter, r *http.Request, source sse.Source, o sse.Options) error {
	if !canHijack(r) {
		return sse.Serve(w, r, source, o)
	}
	worker := l.enter(o.Shutdown)
	if worker == nil {
		return sse.Serve(w, r, source, o)
	}
	connection, err := hijack(w)
	if err != nil {
		l.running.Done()
		return sse.Serve(w, r, source, o)
	}
	s := newSession(worker, connection, source, o)
	s.setHead(w.Header(), o.Retry)
	s.begin()
	return nil
}

// enter counts a stream as running and returns the worker that is to serve it; nil
// if the loop is closed or has another shutdown. The stream counts from before
// its connection is taken over, so that nothing ends without it meanwhile.
func (l *Loop) enter(shutdown <-chan struct{}) *worker {
	l.mu.Lock()
	defer l.mu.Unlock()
	if isClosed(l.closed) {
		return nil
	}
	if l.workers == nil {
		l.shutdown = shutdown
		l.start()
	}
	if shutdown != l.shutdown {
		return nil
	}
	l.running.Add(1)
	l.next = (l.next + 1) % len(l.workers)
	return l.workers[l.next]
}

// start starts a worker for each processor but one, which is for requests.
func (l *Loop) start() {
	for range max(runtime.GOMAXPROCS(0)-1, 1) {
		w := &worker{loop: l, signal: make(chan struct{}, 1)}
		l.workers = append(l.workers, w)
		l.running.Go(w.run)
	}
}

// Close cuts the streams that are still open and waits until all of it has ended,
// the callbacks included. To end them cleanly close Options.Shutdown before, and
// wait for their callbacks. Streams that come later are served in their handlers.
func (l *Loop) Close() {
	l.mu.Lock()
	if !isClosed(l.closed) {
		close(l.closed)
		l.watcher.close()
	}
	l.mu.Unlock()
	l.running.Wait()
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
