package tail

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/rs/zerolog"
)

// pollInterval is how often the file is checked if no notice of a change came: for
// file systems without notices, links, and folders that do not exist yet.
const pollInterval = 250 * time.Millisecond

// A Follower reads one file as it grows. The file need not exist.
type Follower struct {
	path     string
	logger   zerolog.Logger
	openFile func(path string) (file, error)
	poke     chan struct{} // receives when a feed has asked for a look
	first    int64         // the epoch of the first generation that this process has followed

	// Only the goroutine of Run uses these.
	reader  *lineReader   // of the current generation
	queue   []*generation // to be read after it
	problem string        // that was logged last

	// mu guards these, and the state of the feeds. It is never held while a file is
	// read, opened or closed. Only the goroutine of Run changes gens, and what they
	// point to.
	mu       sync.Mutex
	gens     []*generation // the oldest first; the last one is the current one
	memory   memory
	feeds    map[*Feed]struct{} // woken when there may be more
	answered uint64             // of the looks in asked, these are done
	caughtUp time.Time          // when all was read last, zero if the follower does not run yet
	asked    atomic.Uint64      // looks that feeds have asked for
	ended    atomic.Bool
	searches sync.WaitGroup
}

// New returns a follower of the file at path; Run makes it follow.
func New(path string, logger zerolog.Logger) *Follower {
	return newFollower(path, logger, func(path string) (file, error) { return os.Open(path) })
}

func newFollower(path string, logger zerolog.Logger, openFile func(string) (file, error)) *Follower {
	f := &Follower{
		path: path, logger: logger, openFile: openFile,
		feeds: make(map[*Feed]struct{}),
		poke:  make(chan struct{}, 1),
	}
	f.begin()
	f.report(f.readAll(context.Background()))
	return f
}

// current returns the generation that is read. Other goroutines than the one of Run
// need the lock.
func (f *Follower) current() *generation { return f.gens[len(f.gens)-1] }

// Run follows the file until ctx is cancelled, and then ends all feeds.
func (f *Follower) Run(ctx context.Context) {
	defer f.end()
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		f.logger.Warn().Err(err).Msg("no notices of changes to log files, checking every " + pollInterval.String())
		watcher = &fsnotify.Watcher{} // its nil channels never receive
	} else {
		defer func() { _ = watcher.Close() }()
	}
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	f.answer(0) // feeds may wait from now on
	for {
		if err == nil { // again each time: the folder may be another one now
			_ = watcher.Add(filepath.Dir(f.path))
		}
		asked := f.asked.Load()
		f.report(f.readAll(ctx))
		f.answer(asked)
		select {
		case <-ctx.Done():
			return
		case <-poll.C:
		case <-f.poke:
		case err := <-watcher.Errors:
			f.logger.Debug().Err(err).Msg("notices of changes were lost")
		case <-watcher.Events:
		}
	}
}

// readAll reads what there is, in the current generation and those after it.
func (f *Follower) readAll(ctx context.Context) error {
	for ctx.Err() == nil {
		if more, err := f.step(); !more {
			return err
		}
	}
	return nil
}

// step reads the next piece of the current generation, or at its end begins the next
// one. It reports whether there may be more.
func (f *Follower) step() (more bool, err error) {
	isReplaced := f.isReplaced() // before the read that must come after it
	_, err = f.reader.fill(math.MaxInt64)
	if errors.Is(err, errChanged) {
		f.truncated()
		return true, nil
	}
	if err != nil {
		return false, err
	}
	isOver := isReplaced && f.reader.atEnd
	isWhole := isOver && f.reader.file != nil // or else a truncation took the rest of a line
	f.add(f.reader.lines(isWhole, math.MaxInt))
	switch {
	case isOver:
		next := f.queue[0]
		f.queue = f.queue[1:]
		f.follow(next, f.readBefore(next))
		return true, nil
	case f.reader.atEnd:
		return f.look()
	default:
		return true, nil
	}
}

// isReplaced reports whether the file that is next is written to. As long as it is
// empty, its writer may not have noticed the rotation and go on in the old one.
func (f *Follower) isReplaced() bool {
	if len(f.queue) != 1 || f.current().file == nil {
		return len(f.queue) > 0
	}
	info, err := f.queue[0].file.Stat()
	return err != nil || info.Size() > 0
}

// add puts lines into memory and wakes the feeds. The end of the generation rises
// with them, so that a feed that has read as far as the follower goes on in memory.
func (f *Follower) add(lines []line) {
	if len(lines) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.memory.append(lines)
	f.current().end = f.reader.end
	f.wakeFeeds()
}

// answer notes that the looks up to this one are done.
func (f *Follower) answer(asked uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.caughtUp = time.Now()
	if f.answered < asked {
		f.answered = asked
		f.wakeFeeds()
	}
}

// wakeFeeds wakes all feeds. It needs the lock.
func (f *Follower) wakeFeeds() {
	for feed := range f.feeds {
		feed.wake()
	}
}

// report logs a problem when it appears and when it is over, not at every attempt.
// A file that is not there is none.
func (f *Follower) report(err error) {
	problem := ""
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		problem = err.Error()
	}
	switch problem {
	case f.problem:
	case "":
		f.logger.Info().Str("file", f.path).Msg("the log file can be read again")
	default:
		f.logger.Error().Str("file", f.path).Str("error", problem).Msg("cannot read the log file, trying again")
	}
	f.problem = problem
}

// end ends the feeds and closes all files.
func (f *Follower) end() {
	f.ended.Store(true)
	f.mu.Lock()
	f.wakeFeeds()
	f.mu.Unlock()
	f.searches.Wait()
	f.shut(f.gens...)
	f.shut(f.queue...)
}
