package tail_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"example.com/sse-demo/sse/ssetest"
)

var (
	randomRuns = flag.Int("tail.runs", 8, "how many random histories of a file TestRandom tries")
	randomSeed = flag.Uint64("tail.seed", 1, "seed of the first")
)

// TestRandom has a file written, renamed, truncated, copied, deleted and swapped at
// random, while clients read fast, slowly, with an expression, or come back again
// and again: each gets each line once and in order. Only if a line was destroyed
// and the service restarted, a gap may come instead.
func TestRandom(t *testing.T) {
	for i := range *randomRuns {
		seed := *randomSeed + uint64(i)
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			h := newHistory(t, seed)
			for range 40 {
				h.step()
			}
			h.finish()
		})
	}
}

// A history is what happens to a file, and the clients that read it.
type history struct {
	*fixture
	random   *rand.Rand
	scheme   string // how rotated files are named
	next     int    // number of the next line
	complete int    // lines before this one have their line end
	rotated  int
	target   int  // of the symbolic link
	lossy    bool // lines that were read have been destroyed

	begunEmpty bool // the file had no lines when the first clients came
	log        []string
	readers    []*reader
}

// A reader is a client, and what it has.
type reader struct {
	name   string
	grep   string
	step   int // between the numbers of its lines
	client *client
	id     string
	want   int  // number of the next line
	gap    bool // came instead of it

	mayMiss int // lines below this number
}

func newHistory(t *testing.T, seed uint64) *history {
	h := &history{
		fixture: &fixture{T: t, path: filepath.Join(t.TempDir(), "app.log")},
		random:  rand.New(rand.NewPCG(seed, 0)),
	}
	h.scheme = []string{"rising", "rising", "shifted", "shifted", "dated", "link"}[h.random.IntN(6)]
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(h.scheme, strings.Join(h.log, "; "))
		}
	})
	if h.scheme == "link" {
		h.swap()
	}
	if h.begunEmpty = h.random.IntN(2) == 0; !h.begunEmpty {
		h.writeLines(1 + h.random.IntN(5))
	}
	h.start()
	h.readers = []*reader{
		{name: "fast", step: 1},
		{name: "slow", step: 1},
		{name: "returning", step: 1},
		{name: "grep", step: 2, grep: `^line \d*[02468] `},
		{name: "returning grep", step: 2, grep: `^line \d*[02468] `},
	}
	for _, r := range h.readers {
		r.open(h, 1000)
		r.id = r.client.feed.Position()
	}
	return h
}

func (h *history) note(format string, args ...any) {
	h.log = append(h.log, fmt.Sprintf(format, args...))
}

func (h *history) step() {
	ops := []func(){
		h.write, h.write, h.write, h.write, h.comeBack, h.comeBack, h.readSlowly, h.readSlowly,
		h.truncate, h.leaveHole, h.restart,
	}
	if h.scheme == "link" {
		ops = append(ops, h.swap)
	} else {
		ops = append(ops, h.rename, h.rename, h.rename, h.burst, h.copyTruncate, h.copyTruncate, h.remove)
	}
	ops[h.random.IntN(len(ops))]()
	h.readers[0].read(h, 3)
}

// write adds lines, in pieces, and may leave the last one without its end.
func (h *history) write() {
	n := 1 + h.random.IntN(5)
	if h.random.IntN(10) == 0 {
		n = 2000
	}
	h.writeLines(n)
	if h.random.IntN(4) == 0 {
		h.note("a piece of %d", h.next)
		h.fixture.write(fmt.Sprintf("line %d piece", h.next))
		h.next++
	}
}

func (h *history) writeLines(n int) {
	var b strings.Builder
	h.end(&b)
	for range n {
		fmt.Fprintf(&b, "line %d %s\n", h.next, strings.Repeat(fmt.Sprint(h.next, " "), h.random.IntN(8)*h.random.IntN(8)))
		h.next++
	}
	h.complete = h.next
	text := b.String()
	cut := h.random.IntN(len(text) + 1)
	h.fixture.write(text[:cut])
	h.fixture.write(text[cut:])
	h.note("write to %d", h.next)
}

// end ends the line that has no end.
func (h *history) end(b *strings.Builder) {
	if h.complete < h.next {
		b.WriteByte('\n')
		h.complete = h.next
	}
}

// settle waits until all that is complete was read by the follower. Until then
// lines that are destroyed are lost.
func (h *history) settle() {
	var b strings.Builder
	h.end(&b)
	if b.Len() > 0 {
		h.fixture.write(b.String())
	}
	h.note("settle")
	h.readers[0].readTo(h, h.complete)
}

func (h *history) rename() {
	if _, err := os.Stat(h.path); err != nil {
		h.write()
		return
	}
	to := h.rotatedName()
	h.note("rename to %s", to)
	h.fixture.rename(to)
	h.complete = h.next // what is not ended is complete in a file that is closed
	if h.random.IntN(2) == 0 {
		h.write()
	}
}

// rotatedName makes room for one more rotated file.
func (h *history) rotatedName() string {
	h.rotated++
	switch h.scheme {
	case "dated":
		return fmt.Sprintf("-20261121T%06d", h.rotated)
	case "shifted":
		for i := h.rotated - 1; i > 0; i-- {
			h.must(os.Rename(fmt.Sprintf("%s.%d", h.path, i), fmt.Sprintf("%s.%d", h.path, i+1)))
		}
		return ".1"
	default:
		return fmt.Sprintf(".%d", h.rotated)
	}
}

func (h *history) burst() {
	for range 2 + h.random.IntN(10) {
		h.writeLines(1 + h.random.IntN(50))
		h.rename()
	}
}

// copyTruncate is what logrotate's option of that name does.
func (h *history) copyTruncate() {
	h.writeLines(1)
	h.settle() // the follower has seen this file
	h.writeLines(1 + h.random.IntN(100))
	content, err := os.ReadFile(h.path)
	h.must(err)
	to := h.rotatedName()
	h.must(os.WriteFile(h.path+to, content, 0o600))
	h.must(os.Truncate(h.path, 0))
	h.note("copy to %s and truncate", to)
	h.writeLines(1)
	h.settle()
}

func (h *history) truncate() {
	h.writeLines(1)
	h.settle()
	h.must(os.Truncate(h.path, 0))
	h.lossy = true
	h.note("truncate")
	h.writeLines(1)
	h.settle()
}

// leaveHole truncates under a writer without O_APPEND.
func (h *history) leaveHole() {
	h.writeLines(1)
	h.settle()
	size := int64(h.random.IntN(300_000))
	file, err := os.OpenFile(h.path, os.O_WRONLY|os.O_TRUNC, 0)
	h.must(err)
	_, err = file.WriteAt(fmt.Appendf(nil, "line %d after a hole\n", h.next), size)
	h.must(err)
	h.must(file.Close())
	h.next++
	h.complete = h.next
	h.lossy = true
	h.note("a hole of %d", size)
	h.settle()
}

func (h *history) remove() {
	h.writeLines(1)
	h.settle()
	h.must(os.Remove(h.path))
	h.lossy = true
	h.note("remove")
}

// swap points the symbolic link to another file.
func (h *history) swap() {
	if h.target > 0 {
		h.writeLines(1)
		h.settle()
	}
	h.target++
	link := h.path + ".new"
	h.must(os.Symlink(fmt.Sprintf("target %d", h.target), link))
	h.must(os.Rename(link, h.path))
	h.lossy = true // a swap while the service is away cannot be followed
	h.note("swap")
	h.writeLines(1)
}

// restart ends the service for a while.
func (h *history) restart() {
	h.stop()
	for _, r := range h.readers {
		r.client.feed.Close()
	}
	h.note("stop")
	for range h.random.IntN(3) {
		if h.write(); h.scheme != "link" {
			h.rename()
		}
	}
	h.start()
	h.note("start")
	for _, r := range h.readers {
		r.open(h, 0)
		if h.lossy {
			r.mayMiss = h.next // what was destroyed before it began, the service cannot know
		}
	}
}

func (h *history) comeBack() {
	for _, i := range []int{2, 4} {
		r := h.readers[i]
		r.read(h, h.random.IntN(3))
		r.client.feed.Close()
		h.note("%s comes back after %s", r.name, r.id)
		r.open(h, 0)
	}
}

func (h *history) readSlowly() {
	h.readers[1].read(h, 1)
	h.readers[3].read(h, 1)
}

// finish has everybody read all that there is.
func (h *history) finish() {
	h.writeLines(2)
	for _, r := range h.readers {
		r.readTo(h, h.complete)
	}
}

func (r *reader) open(h *history, lines int) { r.client = h.client(lines, r.grep, r.id) }

// read reads up to n batches, without waiting.
func (r *reader) read(h *history, n int) {
	for range n {
		r.client.poll()
	}
	for _, e := range r.client.queue {
		r.got(h, e)
	}
	r.client.queue = nil
}

// readTo reads until the last line before this number has come.
func (r *reader) readTo(h *history, end int) {
	for r.want < end {
		r.got(h, r.client.next())
	}
}

var numbered = regexp.MustCompile(`^line (\d+) `)

func (r *reader) got(h *history, e ssetest.Event) {
	if e.Name == "gap" {
		h.note("gap for %s", r.name)
		// Nothing shows which of several files was the one that was empty or missing.
		if r.gap = true; !h.lossy && (!h.begunEmpty || !strings.HasSuffix(r.id, "-0")) {
			h.Fatalf("%s: %s, and nothing was destroyed", r.name, e.Data)
		}
		return
	}
	number := numbered.FindStringSubmatch(e.Data)
	if number == nil {
		h.Fatalf("%s: %.200q is no line", r.name, e.Data)
	}
	n, err := strconv.Atoi(number[1])
	h.must(err)
	if n != r.want && !r.gap && (n < r.want || r.want >= r.mayMiss) {
		h.Fatalf("%s: line %d after id %s, want %d", r.name, n, r.id, r.want)
	}
	r.id, r.want, r.gap = e.ID, n+r.step, false
}
