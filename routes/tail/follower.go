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

// pollInterval is how often the file is looked at when no change was noticed:
// for file systems without notices, links, and folders that do not exist yet.
const pollInterval = 250 * time.Millisecond

// A Follower reads one file as it grows. The file need not exist.
type Follower struct {
	path   string
	logger zerolog.Logger
	lines  *pubsub.Log

	mu      sync.Mutex
	current *generation // nil before the file was first there
	reader  *lineReader // of current
	end     int64       // in current, after the last line that is in lines
	waiting []*generation
	done    []os.FileInfo // generations that were read to their end, the newest last
	problem string        // that was logged last
}

// New returns a follower of the file at path; Run makes it follow.
func New(path string, logger zerolog.Logger) *Follower {
	f := &Follower{path: path, logger: logger}
	f.mu.Lock()
	defer f.mu.Unlock()
	base := f.openFirst()
	f.lines = pubsub.NewLog(keptLines, keptBytes, base)
	f.report(f.readAll())
	return f
}

// openFirst opens the file that is there at the start so that its last lines are
// read, and returns the place before them.
func (f *Follower) openFirst() (base pubsub.ID) {
	g, err := f.open()
	if err != nil {
		return base // readAll tries again, and reports it
	}
	start, err := backfillStart(g.file, g.info.Size(), keptLines, keptBytes)
	if err == nil {
		f.current = g
		f.reader, err = newLineReader(g.file, g.inode, start)
	}
	if err != nil { // it shrinks at this moment
		f.follow(g)
		return base
	}
	f.end = start
	return f.reader.pos()
}

// Run follows the file until ctx is cancelled.
func (f *Follower) Run(ctx context.Context) {
	defer f.close()
	watcher, err := fsnotify.NewBufferedWatcher(1024)
	if err != nil {
		f.logger.Warn().Err(err).Msg("cannot be told of changes to log files, looking every " + pollInterval.String())
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
		f.readNew()
		if !f.wait(ctx, watcher, poll.C) {
			return
		}
	}
}

// wait returns when the file may have changed; false where ctx is over.
func (f *Follower) wait(ctx context.Context, watcher *fsnotify.Watcher, poll <-chan time.Time) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-poll:
			return true
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

func (f *Follower) readNew() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.report(f.readAll())
}

// readAll reads what there is, looking at the name before each piece: files may
// come and go faster than they are read.
func (f *Follower) readAll() error {
	for {
		failed := f.lookForNew()
		if f.current == nil {
			return failed
		}
		replaced := f.replaced() // before the read that must come after it
		more, err := f.reader.next(math.MaxInt64, f.give)
		switch {
		case errors.Is(err, errChanged):
			f.reader.rest(f.give)
			f.follow(f.truncated())
		case err != nil:
			return err
		case more:
		case replaced:
			f.reader.rest(f.give)
			f.follow(f.waiting[0])
			f.waiting = f.waiting[1:]
		default:
			return failed
		}
	}
}

func (f *Follower) give(id pubsub.ID, frame []byte) {
	f.lines.Append(id, frame)
	f.end = int64(id[1])
}

var errNotRegular = errors.New("not a regular file")

func (f *Follower) open() (*generation, error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for its writer
		return nil, &fs.PathError{Op: "follow", Path: f.path, Err: errNotRegular}
	}
	return openGeneration(f.path)
}

// follow makes g the generation that is read, from its start.
func (f *Follower) follow(g *generation) {
	if f.current != nil && f.current.file != g.file {
		f.remember(f.current)
		f.leave(f.current)
	}
	f.current, f.end = g, 0
	f.reader = &lineReader{file: g.file, inode: g.inode}
}

// leave takes one user off g.
func (f *Follower) leave(g *generation) {
	if g.users--; g.users == 0 {
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

func (f *Follower) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, g := range f.waiting {
		f.leave(g)
	}
	if f.current != nil {
		f.leave(f.current)
	}
	f.current, f.waiting = nil, nil
}

// Check returns an error where path can never be followed.
func Check(path string) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s: %w", path, errNotRegular)
	}
	return nil
}
