package tail

import "github.com/rs/zerolog"

// File is what a test may put in place of an os.File.
type File = file

// NewWith returns a follower that opens files in this way.
func NewWith(path string, logger zerolog.Logger, open func(path string) (File, error)) *Follower {
	return newFollower(path, logger, open)
}

// What tests of limits use.
const (
	KeptLines   = keptLines
	MaxOpen     = maxOpen
	MaxBackfill = maxBackfill
)

// OpenFiles is how many files the follower holds open.
func (f *Follower) OpenFiles() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, g := range f.gens {
		if g.file != nil {
			n++
		}
	}
	return n
}
