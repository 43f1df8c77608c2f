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
	KeptLines  = keptLines
	MaxOpen    = maxOpen
	MaxProgram = maxProgram
)

var ProgramSize = programSize

// OpenFiles is how many files the follower and its feeds hold open.
func (f *Follower) OpenFiles() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	open := map[*handle]bool{}
	for _, g := range f.known {
		if g.file != nil {
			open[g.file] = true
		}
	}
	return len(open)
}
