package tail

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/rs/zerolog"

	"example.com/sse-demo/pubsub"
)

// pollInterval is how often the file is checked if no notice of a change came: for
// file systems without notices, links, and folders that do not exist yet.
const pollInterval = 250 * time.Millisecond

// A Follower reads one file as it grows. The file need not exist.
type Follower struct {
	path     string
	logger   zerolog.Logger
	openFile func(path string) (file, error)
	lines    *pubsub.Log
	began    uint64 // Unix time in seconds

	// Only the goroutine of Run uses these.
	reader  *lineReader // of current
	waiting []*generation
	done    []os.FileInfo // of files that were read to their end, the newest last
	problem string        // that was logged last

	// mu is never held while a file is read, opened or closed.
	mu      sync.Mutex
	current *generation   // the one that is read
	known   []*generation // the newest last
	first   position      // the first line in the log; zero if there was none yet
	last    position      // the newest line in the log
	base    position      // that the log begins after
	started uint64        // seconds in the newest start id
	unused  []*handle     // to be closed
	ended   bool

	poke    chan struct{} // Run has something to do
	closing chan struct{} // closed when Run ends
	workers sync.WaitGroup
}

// New returns a follower of the file at path; Run makes it follow.
func New(path string, logger zerolog.Logger) *Follower {
	return newFollower(path, logger, func(path string) (file, error) { return os.Open(path) })
}

func newFollower(path string, logger zerolog.Logger, openFile func(string) (file, error)) *Follower {
	f := &Follower{
		path: path, logger: logger, openFile: openFile,
		began:   uint64(time.Now().Unix()),
		poke:    make(chan struct{}, 1),
		closing: make(chan struct{}),
	}
	f.begin()
	f.lines = pubsub.NewLog(keptLines+1, keptBytes, f.base.line) // one more, see oldest
	f.report(f.readAll(context.Background()))
	return f
}

// begin opens the file that is there at the start so that its last lines are
// read. If there is none, the first generation has no file.
func (f *Follower) begin() {
	g, err := f.open()
	offset := int64(0)
	if err == nil {
		if offset, err = firstOffset(g); err == nil {
			f.reader, err = newLineReader(g.file, g.mark, offset)
		}
		if err != nil { // it shrinks at this moment
			_ = g.file.Close()
		}
	}
	if err != nil {
		g, offset = &generation{}, 0 // readAll tries again, and reports it
	}
	g.number, g.users, g.end = 1, 1, offset
	g.start = f.newStart(g.inode)
	g.before = position{pubsub.ID{g.number, 0}, g.start}
	f.base = g.before
	if offset > 0 {
		f.base = position{pubsub.ID{g.number, uint64(offset)}, f.reader.pos()}
	}
	f.current, f.last, f.known = g, f.base, []*generation{g}
}

// firstOffset is where the follower begins in a file that is there at the start.
func firstOffset(g *generation) (int64, error) {
	size := g.info.Size()
	offset, err := backfillStart(g.file, size, keptLines, keptBytes)
	if err == nil && offset == size { // possibly within a very long line
		return backfillStart(g.file, size, 0, maxBackfill)
	}
	return offset, err
}

// Run follows the file until ctx is cancelled, and then ends all workers.
func (f *Follower) Run(ctx context.Context) {
	defer f.end()
	watcher, err := fsnotify.NewBufferedWatcher(1024)
	if err != nil {
		f.logger.Warn().Err(err).Msg("no notices of changes to log files, checking every " + pollInterval.String())
		watcher = &fsnotify.Watcher{} // its nil channels never receive
	} else {
		defer func() { _ = watcher.Close() }()
	}
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		if err == nil { // again each time: the folder may be another one now
			_ = watcher.Add(filepath.Dir(f.path))
		}
		f.report(f.readAll(ctx))
		if !f.wait(ctx, watcher, poll.C) {
			return
		}
	}
}

// wait returns when the file may have changed; false if ctx is over.
func (f *Follower) wait(ctx context.Context, watcher *fsnotify.Watcher, poll <-chan time.Time) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-poll:
			return true
		case <-f.poke:
			f.closeUnused()
		case err := <-watcher.Errors:
			f.logger.Debug().Err(err).Msg("notices of changes were lost")
			return true
		case notice := <-watcher.Events:
			if filepath.Base(notice.Name) != filepath.Base(f.path) {
				continue
			}
			for len(watcher.Events) > 0 { // one check serves all that have come
				<-watcher.Events
			}
			return true
		}
	}
}

// end ends the workers and closes all files.
func (f *Follower) end() {
	f.mu.Lock()
	f.ended = true
	f.mu.Unlock()
	close(f.closing)
	f.workers.Wait()
	f.mu.Lock()
	for _, g := range f.known {
		f.shut(g)
	}
	f.mu.Unlock()
	f.closeUnused()
	f.closeFiles(f.waiting)
	f.waiting = nil
}
