package tail_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"example.com/sse-demo/routes/tail"
)

// TestPosition comes back with the position before any line, in the same process
// and after a restart of the service, and gets the same lines.
func TestPosition(t *testing.T) {
	const absent = "absent"
	for name, tt := range map[string]struct {
		content string
		before  func(f *fixture) // the client
		lines   int
		grep    string
		then    func(f *fixture) // after the position was given
		want    []string
	}{
		"last lines":                  {content: text(numbers(0, 9)), lines: 3, want: numbers(6, 9)},
		"last lines of many":          {content: text(numbers(0, 40_000)), lines: 1000, want: numbers(39_000, 40_000)},
		"all lines":                   {content: text(numbers(0, 9)), lines: 10, want: numbers(0, 9)},
		"no lines":                    {content: text(numbers(0, 9)), lines: 0, then: add("new"), want: []string{"new"}},
		"an unfinished line":          {content: "unfi", lines: 10, then: add("nished"), want: []string{"unfinished"}},
		"grep":                        {content: text(numbers(0, 9)), lines: 5, grep: "[57]", want: []string{"line 5", "line 7"}},
		"empty":                       {content: "-", before: empty, lines: 10, then: add("new", "newer"), want: []string{"new", "newer"}},
		"empty, then many":            {content: "-", before: empty, lines: 10, then: add(numbers(0, 40_000)...), want: numbers(0, 40_000)},
		"absent":                      {content: absent, lines: 10, then: add("new"), want: []string{"new"}},
		"absent, then many":           {content: absent, lines: 10, then: add(numbers(0, 40_000)...), want: numbers(0, 40_000)},
		"empty, grep":                 {content: "-", before: empty, lines: 10, grep: "er", then: add("new", "newer"), want: []string{"newer"}},
		"truncated":                   {content: "old\n", before: truncate, lines: 10, then: add("new"), want: []string{"new"}},
		"rotated, the new file empty": {content: "old\n", before: rotateEmpty, lines: 0, then: add("new"), want: []string{"new"}},
	} {
		t.Run(name, func(t *testing.T) {
			content := tt.content
			if content == absent {
				content = ""
			}
			f := follow(t, content)
			if tt.before != nil {
				tt.before(f)
			}
			c := f.client(tt.lines, tt.grep, "")
			position := c.feed.Position()
			if len(position) >= 40 || strings.Trim(position, "0123456789-") != "" {
				t.Errorf("position %q", position)
			}
			if tt.then != nil {
				tt.then(f)
			}
			c.expect(tt.want...)
			for range 3 {
				again := f.client(5, tt.grep, position)
				if got := again.feed.Position(); got != position {
					t.Errorf("position %s, want %s", got, position)
				}
				again.expect(tt.want...)
				f.restart()
			}
		})
	}
}

func add(lines ...string) func(f *fixture) { return func(f *fixture) { f.write(text(lines)) } }

func empty(f *fixture) { f.stop(); f.must(os.Truncate(f.path, 0)); f.start() }

// seen waits until the follower has read a line.
func (f *fixture) seen(line string) {
	c := f.client(0, "", "")
	f.write(line + "\n")
	for c.next().Data != line {
	}
}

func truncate(f *fixture) {
	f.seen("older")
	f.must(os.Truncate(f.path, 0))
	f.seen("oldest")
	f.must(os.Truncate(f.path, 0))
	f.restart()
}

func rotateEmpty(f *fixture) {
	f.stop()
	f.rename(".1")
	f.write("")
	f.start()
}

// TestPositionOfAGap comes back before the oldest line that follows the gap.
func TestPositionOfAGap(t *testing.T) {
	for _, n := range []int{0, 20, 40_000} {
		for _, grep := range []string{"", "0$"} {
			f := follow(t, text(numbers(0, n))[:len(text(numbers(0, n)))-min(1, max(1-n, 0))])
			c := f.client(10, grep, "0-0")
			position := c.feed.Position()
			if e := c.next(); e.Name != "gap" || !strings.Contains(e.Data, `"after":"0-0"`) {
				t.Fatalf("%+v", e)
			}
			var want []string
			f.write("line 0\n")
			for len(want) == 0 || want[len(want)-1] != "line 0" || len(want) == 1 && n > 0 {
				want = append(want, c.next().Data)
			}
			f.client(10, grep, position).expect(want...)
			f.restart()
			f.client(10, grep, position).expect(want...)
		}
	}
}

// TestPositionOfAnEarlierFile is not taken for one of the file that is there now.
func TestPositionOfAnEarlierFile(t *testing.T) {
	f := follow(t, "")
	absent := f.Follow(10, nil, "").Position()
	f.seen("one")
	start := f.Follow(10, nil, "").Position()
	f.stop()
	f.rename(".1")
	f.write("two\n")
	f.start()
	if e := f.client(10, "", absent).next(); e.Name != "gap" {
		t.Errorf("%s: %+v", absent, e)
	}
	f.client(10, "", start).expect("one", "two")
}

// TestPositionBeforeTheFirstLine has a client that came before the first line, and
// comes back when the file was replaced while the service was away.
func TestPositionBeforeTheFirstLine(t *testing.T) {
	long := strings.Repeat("x", 300)
	for name, tt := range map[string]struct {
		content string
		replace func(f *fixture)
		want    []string // nil if a gap must come
	}{
		"grown":                {"one\n", add("two"), []string{"one", "two"}},
		"grown from a piece":   {"on", add("e", "two"), []string{"one", "two"}},
		"a long line":          {long + "\n", add("two"), []string{long, "two"}},
		"a long piece":         {long, add("y", "two"), []string{long + "y", "two"}},
		"truncated":            {"one\n", rewrite, nil},
		"a long one truncated": {long + "\n", rewrite, nil},
		"copied and truncated": {"one\n", func(f *fixture) { f.copyTruncate(".1"); f.write("two\n") }, []string{"one", "two"}},
		"renamed":              {"one\n", func(f *fixture) { f.rename(".1"); f.write("two\n") }, []string{"one", "two"}},
		"deleted":              {"one\n", func(f *fixture) { f.must(os.Remove(f.path)); f.write("two\n") }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := follow(t, tt.content)
			position := f.client(10, "", "").feed.Position()
			f.stop()
			tt.replace(f)
			f.start()
			c := f.client(10, "", position)
			if tt.want == nil {
				if e := c.next(); e.Name != "gap" {
					t.Errorf("%+v, want a gap", e)
				}
				return
			}
			c.expect(tt.want...)
		})
	}
}

func rewrite(f *fixture) { f.must(os.Truncate(f.path, 0)); f.write("two\n") }

// TestPositionAfterTruncation is before lines that only memory has: in this process it
// is still known, after a restart they are lost.
func TestPositionAfterTruncation(t *testing.T) {
	f := follow(t, "one\n")
	position := f.client(10, "", "").feed.Position()
	f.emptied()
	f.write("two\n")
	f.client(10, "", position).expect("one", "two")
	gap := f.client(10, "", "rubbish")
	position = gap.feed.Position()
	if e := gap.next(); e.Name != "gap" {
		t.Errorf("%+v", e)
	}
	gap.expect("one", "two")
	f.client(10, "", position).expect("one", "two")
	f.restart()
	if e := f.client(10, "", position).next(); e.Name != "gap" {
		t.Errorf("%+v", e)
	}
}

// TestPositionInARotatedFile is at the end of a file that was there at the start, and is
// not the oldest one: it stays valid when the oldest is deleted.
func TestPositionInARotatedFile(t *testing.T) {
	f := follow(t, "one\n")
	for _, line := range []string{"two\n", "three\n"} {
		f.stop()
		f.shift()
		f.write(line)
		f.start()
	}
	position := f.client(10, "", "").feed.Position()
	f.stop()
	f.must(os.Remove(f.path + ".2"))
	f.shift()
	f.write("four\n")
	f.start()
	f.client(10, "", position).expect("three", "four")
}

// shift renames the file to .1, and .1 to .2.
func (f *fixture) shift() {
	f.Helper()
	if _, err := os.Stat(f.path + ".1"); err == nil {
		f.must(os.Rename(f.path+".1", f.path+".2"))
	}
	f.rename(".1")
}

// TestPositionInAnEmptyFile has a rotated file beside that has no lines, or none since the
// client came.
func TestPositionInAnEmptyFile(t *testing.T) {
	for name, before := range map[string]func(f *fixture){
		"an empty copy":    func(f *fixture) { empty(f); f.copyTruncate(".1") },
		"an empty rotated": func(f *fixture) { empty(f); f.stop(); f.rename(".1"); f.write(""); f.start() },
		"an empty renamed": func(f *fixture) { empty(f); f.rename(".1"); f.write("") },
		"old lines": func(f *fixture) {
			f.rename(".1")
			f.must(os.Chtimes(f.path+".1", time.Time{}, time.Now().Add(-time.Hour)))
			f.seen("two")
			f.must(os.Truncate(f.path, 0))
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := follow(t, "one\n")
			before(f)
			var position string
			for !strings.HasSuffix(position, "-0") { // until the follower has seen the truncation
				position = f.client(10, "", "").feed.Position()
			}
			f.restart()
			f.write("new\n")
			f.client(10, "", position).expect("new")
		})
	}
}

// TestPositionInAMissingFile has a file that came and was rotated while the service was
// away, so others may have come before it.
func TestPositionInAMissingFile(t *testing.T) {
	f := follow(t, "")
	position := f.client(10, "", "").feed.Position()
	f.stop()
	f.write("one\n")
	f.rename(".1")
	f.must(os.Chtimes(f.path+".1", time.Time{}, time.Now().Add(-time.Second))) // of a file system that keeps seconds
	f.write("two\n")
	f.start()
	if e := f.client(10, "", position).next(); e.Name != "gap" {
		t.Errorf("%+v", e)
	}
}

// poll is a request with wait: it returns what there is, and the id to go on from.
func (f *fixture) poll(grep, id string) (lines []string, next string) {
	c := f.client(10, grep, id)
	defer c.feed.Close()
	for c.poll() || c.feed.Behind() {
		for !c.poll() && c.feed.Behind() {
			<-c.ready
		}
	}
	next = c.feed.Position()
	for _, e := range c.queue {
		lines = append(lines, e.Data)
		if e.ID != "" {
			next = e.ID
		}
	}
	return lines, next
}

// TestLongPolling polls with the last id until there is nothing more: nothing is
// lost or repeated.
func TestLongPolling(t *testing.T) {
	lines := numbers(0, 60_000)
	f := follow(t, text(lines))
	first := f.client(1000, "", "").expect("line 59000")
	f.restart() // so that no client holds anything
	for grep, want := range map[string][]string{
		"":       lines[59_001:],
		"9$":     nil,
		"59999$": {"line 59999"},
		"never":  nil,
	} {
		if grep == "9$" {
			for i := 59_009; i < len(lines); i += 10 {
				want = append(want, lines[i])
			}
		}
		var got []string
		id := first
		for range 1000 {
			more, next := f.poll(grep, id)
			got = append(got, more...)
			if id = next; len(more) == 0 {
				break
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("grep %q: %d lines, want %d", grep, len(got), len(want))
		}
	}
	if got, _ := f.poll("", ""); fmt.Sprint(got) != fmt.Sprint(lines[59_990:]) {
		t.Errorf("the first poll gives %q", got)
	}
}

// TestLongPollingOverARotation polls when the file was just rotated: what is in the new
// file was there, too.
func TestLongPollingOverARotation(t *testing.T) {
	f := &fixture{T: t, path: filepath.Join(t.TempDir(), "app.log")}
	f.write("one\n")
	opened, next := 0, make(chan struct{})
	f.Follower = tail.NewWith(f.path, zerolog.Nop(), func(path string) (tail.File, error) {
		if opened++; opened > 1 {
			<-next
		}
		return os.Open(path)
	})
	start := f.client(1, "", "").feed.Position()
	f.write("two\n")
	f.rename(".1")
	f.write("three\n")
	c := f.client(0, "", start)
	f.run()
	c.expect("one", "two")
	if !c.feed.Behind() {
		t.Error("the poll ends before the new file was read")
	}
	close(next)
	c.expect("three")
}

// TestLongPollingAfterAGap has the gap and lines in one batch, so that the next
// poll has an id.
func TestLongPollingAfterAGap(t *testing.T) {
	f := follow(t, text(numbers(0, 1000)))
	for grep, want := range map[string]string{"": "line 0", "77$": "line 77"} {
		lines, next := f.poll(grep, "rubbish")
		if len(lines) < 2 || lines[1] != want || next == "rubbish" {
			t.Errorf("grep %q: %q, then %s", grep, lines, next)
		}
	}
	if lines, next := f.poll("never", "rubbish"); len(lines) != 1 || next == "rubbish" {
		t.Errorf("%q, then %s", lines, next)
	}
}
