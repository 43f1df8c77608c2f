package eventloop

import (
	"maps"
	"net/http"
	"os"
	"runtime"
	"slices"
	"sync"

	"example.com/sse-demo/sse"
)

// A Loop serves event streams from a few goroutines.
type Loop struct {
	mu       sync.Mutex
	workers  []*worker // none before the first stream
	shutdown <-chan struct{}
	sessions map[uint64]*session // by id
	lastID   uint64
	epoll    *os.File // nil before the first stream that it can watch, and on other systems than Linux
	isClosed bool

	open    sync.WaitGroup // streams, and the callbacks of their ends
	quit    func()         // ends the goroutines that serve them
	ended   chan struct{}  // closed by quit
	running sync.WaitGroup // those goroutines
}

// New returns a loop, to be ended by Close. Its goroutines begin with the first
// stream.
func New() *Loop {
	l := &Loop{sessions: map[uint64]*session{}, ended: make(chan struct{})}
	l.quit = sync.OnceFunc(func() {
		close(l.ended)
		_ = l.epoll.Close() // it may be nil
	})
	return l
}

// Serve answers the request with an event stream, as [sse.Serve] does, but it may
// return before the stream has ended. Read the body of the request before. Serve calls
// Options.Sent and Options.Ended from any goroutine.
//
// The streams of a loop share the Options.Shutdown of the first one: a stream with
// another is served in its handler.
//
// A source that panics ends only its own stream; the Outcome has an [sse.PanicError].
func (l *Loop) Serve(w http.ResponseWriter, r *http.Request, source sse.Source, o sse.Options) error {
	if !canHijack(r, !o.PollUntil.IsZero()) || !l.enter(o.Shutdown) {
		return sse.Serve(w, r, source, o)
	}
	connection, err := hijack(w, r)
	if err != nil {
		l.open.Done()
		return sse.Serve(w, r, source, o)
	}
	s := newSession(connection, source, o)
	l.add(s)
	s.setHead(w.Header(), o.Retry)
	s.begin(r.Context())
	return nil
}

// enter counts a stream as open, before its connection is taken over, so that Close
// waits for it. It returns false if the loop is closed or has another shutdown.
func (l *Loop) enter(shutdown <-chan struct{}) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isClosed {
		return false
	}
	if l.workers == nil {
		l.shutdown = shutdown
		l.start()
	}
	if shutdown != l.shutdown {
		return false
	}
	l.open.Add(1)
	return true
}

// start starts a worker for each processor but one, which is for requests.
func (l *Loop) start() {
	for range max(runtime.GOMAXPROCS(0)-1, 1) {
		w := &worker{loop: l, signal: make(chan struct{}, 1)}
		l.workers = append(l.workers, w)
		l.running.Go(w.run)
	}
	l.running.Go(l.awaitShutdown)
}

func (l *Loop) awaitShutdown() {
	select {
	case <-l.shutdown:
		l.each((*session).wake)
	case <-l.ended:
	}
}

// add gives a session its worker. If the loop was closed meanwhile, the stream ends
// with its first step.
func (l *Loop) add(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lastID++
	s.id, s.worker = l.lastID, l.workers[l.lastID%uint64(len(l.workers))]
	l.sessions[s.id] = s
	s.left.Store(l.isClosed)
}

func (l *Loop) session(id uint64) *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sessions[id]
}

func (l *Loop) remove(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.sessions, s.id)
}

func (l *Loop) each(do func(*session)) {
	l.mu.Lock()
	all := slices.Collect(maps.Values(l.sessions))
	l.mu.Unlock()
	for _, s := range all {
		do(s)
	}
}

// Close cuts the streams that are still open and waits until all of it has ended,
// the callbacks included. To end them cleanly close Options.Shutdown before, and
// wait for their callbacks. Streams that come later are served in their handlers.
func (l *Loop) Close() {
	l.mu.Lock()
	l.isClosed = true
	l.mu.Unlock()
	l.each((*session).leave)
	l.open.Wait()
	l.quit()
	l.running.Wait()
}
