// Package tail follows log files: every complete line becomes an event, through
// rotation by renaming, truncation, deletion and re-creation.
//
// # One follower, many feeds
//
// A [Follower] reads a file once, however many clients there are, and keeps its
// newest lines in memory. Each client has a [Feed], a position in the file. If memory
// has what follows the position, the feed reads it there. If not, the feed searches
// the file, so a client that was away for long loses nothing that the file still has.
//
// # Nothing waits for a disk
//
// Only [Follower.Follow] may block. The methods of a feed never do, so one goroutine
// may serve many feeds. If a feed has to read a file or to match an expression, a
// goroutine of its follower collects one batch, and ends. No lock is held meanwhile.
//
// # Generations
//
// A generation is one file that the followed name has stood for, until it is
// renamed, deleted or truncated. If another file has appeared under the name, the
// old one is first read to its end. Files that came in between are found beside it
// by the names that rotation gives them, such as app.log.1. What is written to a
// rotated file later is read at the next rotation.
//
// # Ids
//
// The id of a line is "<mark>-<offset>": the offset at which the line ends in its
// file, and a mark of two numbers: when the follower began to read this generation
// (the epoch), and a checksum of the file's inode and of the bytes before the offset.
// Within the process the epoch identifies the generation. After a restart the
// checksum does, so an id is valid as long as the file is, also under its rotated
// name. The id before the first line has a checksum of that line. If there is none yet,
// only the inode shows after a restart that the file is the same.
package tail

import "time"

const (
	// MaxLine is the length in bytes beyond which a line is sent cut.
	MaxLine = 64 << 10

	// What is in memory for clients that are near the end. It must hold the lines
	// of a burst of rotations, whose files may be gone before a client reads them.
	keptLines = 16 << 10
	keptBytes = 4 << 20

	maxKnown = 256 // generations that are remembered
	maxOpen  = 16  // of which the newest stay open; a deleted file takes its disk space until then

	// A follower that was not at the end of the file for this long does not delay new
	// feeds: its disk may hang, or the file may grow faster than it is read.
	maxLag = 5 * time.Second

	maxBackfill = 64 << 20 // bytes of the file that are searched for the first lines
	chunkSize   = 32 << 10 // bytes of one read
	windowSize  = 256      // bytes before an offset that a checksum covers
)

// What a feed gives at once.
const (
	batchEvents = 256
	batchBytes  = 16 << 10
)
