package tail_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"example.com/sse-demo/routes/tail"
)

// TestUnfinishedLineOfARenamedFile has clients that still read the file in which
// the line is.
func TestUnfinishedLineOfARenamedFile(t *testing.T) {
	lines := numbers(0, 60_000) // more than memory keeps
	f := follow(t, text(lines)+"tw")
	id := f.client(1000, "", "").expect("line 59000")
	all, some := f.client(0, "", id), f.client(0, "(00|w|three)$", id)
	all.expect("line 59001")
	some.expect("line 59100")
	f.rename(".1")
	f.write("three\n")
	f.client(0, "", id).expect(append(lines[59_001:], "tw", "three")...)
	all.expect(append(lines[59_002:], "tw", "three")...)
	for i := 59_200; i < len(lines); i += 100 {
		some.expect(lines[i])
	}
	some.expect("tw", "three")
}

// TestUnfinishedLineFarBehind is the same with a client so far behind that the
// line is in memory no more.
func TestUnfinishedLineFarBehind(t *testing.T) {
	f := follow(t, "one\n")
	c := f.client(1, "", "")
	c.expect("one")
	watcher := f.client(0, "", "")
	f.write("tw")
	f.rename(".1")
	f.write(text(numbers(0, 2*tail.KeptLines)))
	watcher.expect("tw")
	watcher.expect(numbers(0, 2*tail.KeptLines)...)
	c.expect("tw")
	c.expect(numbers(0, 2*tail.KeptLines)...)
}

// TestSlowOverARotation has clients that stop reading before a rotation, and go
// on when memory has only the newest lines of the next file.
func TestSlowOverARotation(t *testing.T) {
	for name, grep := range map[string]string{"all": "", "grep": "line"} {
		t.Run(name, func(t *testing.T) {
			f := follow(t, "start line\n")
			atEnd, inside := f.client(1, grep, ""), f.client(1, grep, "")
			inside.expect("start line")
			watcher := f.client(0, "", "")
			f.write(text(numbers(0, 100)))
			id := watcher.expect(numbers(0, 100)...)
			atEnd.expect("start line")
			atEnd.expect(numbers(0, 100)...)
			for i := range 3 {
				f.rename(fmt.Sprintf(".%d", i))
				f.write(text(numbers(100+10_000*i, 10_100+10_000*i)))
				watcher.expect(numbers(100+10_000*i, 10_100+10_000*i)...)
			}
			atEnd.expect(numbers(100, 30_100)...)
			f.client(0, grep, id).expect(numbers(100, 30_100)...) // the files are still open
			inside.expect(numbers(0, 30_100)...)
		})
	}
}

// A rotator writes lines with running numbers, and rotates.
type rotator struct {
	*fixture
	random  *rand.Rand
	written int
	open    bool // a line without its end
}

const perBurst = 400

func (r *rotator) burst() {
	var b strings.Builder
	for range 1 + r.random.IntN(perBurst) {
		if r.open {
			b.WriteByte('\n')
		}
		r.open = true
		fmt.Fprintf(&b, "line %d", r.written)
		r.written++
	}
	if r.random.IntN(2) == 0 {
		b.WriteByte('\n')
		r.open = false
	}
	text := b.String()
	cut := r.random.IntN(len(text) + 1) // written in two pieces
	r.write(text[:cut])
	r.write(text[cut:])
}

// rotate renames the file; what has no end is a line then.
func (r *rotator) rotate(n int) {
	r.rename(fmt.Sprintf(".%d", n))
	r.open = false
}

// TestRandomRotations has a fast, a slow and a returning client, with and without
// an expression, while lines are written and files rotated at random.
func TestRandomRotations(t *testing.T) {
	for range 3 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			f := follow(t, "line 0\n")
			r := &rotator{fixture: f, random: rand.New(rand.NewPCG(seed, 0)), written: 1}
			var returned atomic.Int64 // lines that the returning client has
			progress := make(chan struct{}, 1)
			const bursts, rotations = 60, tail.MaxOpen - 2
			var total atomic.Int64
			var wg sync.WaitGroup
			defer wg.Wait()
			fast, slow, grep := f.client(1, "", ""), f.client(1, "", ""), f.client(1, "[05]$", "")
			start := fast.feed.Position()
			done := make(chan struct{})
			wg.Go(func() {
				defer close(done)
				n := 0
				for i := range bursts {
					for r.written > int(returned.Load())+tail.KeptLines/2 {
						<-progress // a client that is away for long may find a gap
					}
					r.burst()
					if n < rotations && r.random.IntN(bursts/rotations) == 0 || i == bursts-1 {
						r.rotate(n)
						n++
					}
				}
				f.write("end\n")
				total.Store(int64(r.written))
			})
			wg.Go(func() {
				for i := 0; fast.next().Data == fmt.Sprintf("line %d", i); i++ {
				}
			})
			wg.Go(func() { returning(f, start, seed, &returned, progress) })
			<-done
			n := int(total.Load())
			slow.expect(append(numbers(0, n), "end")...)
			for i := 0; i < n; i += 5 {
				grep.expect(fmt.Sprintf("line %d", i))
			}
		})
	}
}

// returning reads some lines at a time, each time as a new client.
func returning(f *fixture, id string, seed uint64, have *atomic.Int64, progress chan<- struct{}) {
	defer func() { // let the writer finish
		have.Store(math.MaxInt32)
		close(progress)
	}()
	random := rand.New(rand.NewPCG(seed, 1))
	for n := 0; ; {
		c := f.client(0, "", id)
		for range 1 + random.IntN(3*perBurst) {
			e := c.next()
			if e.Data == "end" {
				return
			}
			if e.Data != fmt.Sprintf("line %d", n) {
				f.Errorf("%s %q after id %s, want line %d", e.Name, e.Data, id, n)
				return
			}
			id = e.ID
			n++
		}
		c.feed.Close()
		have.Store(int64(n))
		select {
		case progress <- struct{}{}:
		default:
		}
	}
}

// TestRandomTruncations truncates and deletes: lines may be lost, but none comes
// twice or out of order.
func TestRandomTruncations(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	f := follow(t, "")
	clients := []*client{f.client(0, "", ""), f.client(0, "[05]$", "")}
	for i, n := 0, 0; i < 100; i++ {
		var b strings.Builder
		for range random.IntN(perBurst) {
			fmt.Fprintf(&b, "%06d\n", n)
			n++
		}
		f.write(b.String())
		switch random.IntN(8) {
		case 0:
			f.must(os.Truncate(f.path, 0))
		case 1:
			f.must(os.Remove(f.path))
		}
	}
	f.write("999995\n")
	for _, c := range clients {
		for last := ""; last != "999995"; {
			e := c.next()
			if e.Name == "gap" || len(e.Data) < 6 { // the part that was read before it was truncated
				continue
			}
			if e.Data <= last {
				t.Fatalf("%q after %q", e.Data, last)
			}
			last = e.Data
		}
	}
}

func TestStartOfTheService(t *testing.T) {
	f := &fixture{T: t, path: filepath.Join(t.TempDir(), "app.log")}
	f.write(strings.Repeat("x", 8<<20)) // a line that has begun long before
	f.start()
	f.write("y\nshort\n")
	f.client(10, "", "").expect(strings.Repeat("x", tail.MaxLine)+" …[truncated]", "short")
}
