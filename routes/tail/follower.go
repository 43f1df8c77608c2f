package tail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/rs/zerolog"

	"example.com/sse-demo/pubsub"
)

// pollInterval is how often the file is looked at if no change was noticed: for
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
			f.reader, err = newLineReader(g.file, g.inode, offset)
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
		f.logger.Warn().Err(err).Msg("no notices of changes to log files, looking every " + pollInterval.String())
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
			for len(watcher.Events) > 0 { // one look serves all that have come
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

// readAll reads what there is, looking at the name before each piece: files may
// come and go faster than they are read.
func (f *Follower) readAll(ctx context.Context) error {
	for ctx.Err() == nil {
		f.closeUnused()
		failed := f.lookForNew()
		if f.current.file == nil {
			return failed
		}
		replaced := f.replaced() // before the read that must come after it
		n, err := f.reader.fill(math.MaxInt64)
		switch {
		case errors.Is(err, errChanged):
			f.appendRest()
			f.follow(f.truncated())
		case err != nil:
			return err
		case n > 0:
			f.appendLines()
		case replaced:
			f.appendRest()
			f.remember(f.current)
			f.follow(f.waiting[0])
			f.waiting = f.waiting[1:]
		default:
			return failed
		}
	}
	return nil
}

func (f *Follower) appendLines() {
	for id, frame, ok := f.reader.next(); ok; id, frame, ok = f.reader.next() {
		f.append(id, frame)
	}
}

func (f *Follower) appendRest() {
	if id, frame, ok := f.reader.rest(); ok {
		f.append(id, frame)
	}
}

// append adds a line to the log. The lock is held over both, so that a feed that
// has read as far as the follower finds its position in the log.
func (f *Follower) append(id pubsub.ID, frame []byte) {
	frame = append(make([]byte, 0, len(frame)), frame...)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = position{pubsub.ID{f.current.number, id[1]}, id}
	f.current.end = int64(id[1])
	f.lines.Append(f.last.line, frame)
	if f.first == (position{}) {
		f.first = f.last
	}
}

var errNotRegular = errors.New("not a regular file")

// open opens the file that has the followed name.
func (f *Follower) open() (*generation, error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for its writer
		return nil, &fs.PathError{Op: "follow", Path: f.path, Err: errNotRegular}
	}
	return f.openGeneration(f.path)
}

func (f *Follower) openGeneration(path string) (*generation, error) {
	file, err := f.openFile(path)
	if err != nil {
		return nil, err
	}
	return newGeneration(file)
}

// closeFiles closes files that were never followed.
func (f *Follower) closeFiles(gs []*generation) {
	for _, g := range gs {
		_ = g.file.Close() // it was only read
	}
}

// report logs a problem when it appears and when it is over, not at every look.
// A file that is not there is none.
func (f *Follower) report(err error) {
	problem := ""
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		problem = err.Error()
	}
	if problem == f.problem {
		return
	}
	f.problem = problem
	if problem != "" {
		f.logger.Error().Str("file", f.path).Str("error", problem).Msg("cannot read the log file, trying again")
		return
	}
	f.logger.Info().Str("file", f.path).Msg("the log file can be read again")
}

// Check returns an error if path can never be followed.
func Check(path string) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s: %w", path, errNotRegular)
	}
	return nil
}
