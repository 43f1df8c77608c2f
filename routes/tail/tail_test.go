package tail_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"example.com/sse-demo/routes/tail"
	"example.com/sse-demo/sse/ssetest"
)

// patience is how long a test waits for what should come at once.
const patience = 20 * time.Second

// fixture is a followed file.
type fixture struct {
	*testing.T
	path string
	*tail.Follower
	stop func()
}

func follow(t *testing.T, content string) *fixture {
	f := &fixture{T: t, path: filepath.Join(t.TempDir(), "app.log")}
	if content != "" {
		f.write(content)
	}
	f.start()
	return f
}

func (f *fixture) start() { f.open(); f.run() }

func (f *fixture) open() {
	f.Follower = tail.New(f.path, zerolog.New(zerolog.NewTestWriter(f.T)))
}

func (f *fixture) run() {
	ctx, cancel := context.WithCancel(f.Context())
	var wg sync.WaitGroup
	wg.Go(func() { f.Follower.Run(ctx) })
	f.stop = func() { cancel(); wg.Wait() }
	f.Cleanup(f.stop)
}

func (f *fixture) restart() { f.stop(); f.start() }

// must fails the test on an error.
func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// write appends text to the file.
func (f *fixture) write(text string) {
	f.Helper()
	file, err := os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	f.must(err)
	_, err = file.WriteString(text)
	f.must(err)
	f.must(file.Close())
}

func (f *fixture) rename(to string) {
	f.Helper()
	f.must(os.Rename(f.path, f.path+to))
}

// client reads a feed.
type client struct {
	t     *testing.T
	feed  *tail.Feed
	ready chan struct{}
	queue []ssetest.Event
}

func (f *fixture) client(lines int, grep, lastEventID string) *client {
	var re *regexp.Regexp
	if grep != "" {
		re = regexp.MustCompile(grep)
	}
	return f.read(f.Follow(lines, re, lastEventID))
}

func (f *fixture) read(feed *tail.Feed) *client {
	c := &client{t: f.T, feed: feed, ready: make(chan struct{}, 1)}
	c.feed.Notify(func() {
		select {
		case c.ready <- struct{}{}:
		default:
		}
	})
	f.Cleanup(c.feed.Close)
	return c
}

// next waits for the next event.
func (c *client) next() ssetest.Event {
	c.t.Helper()
	timeout := time.After(patience)
	for len(c.queue) == 0 {
		if c.poll() {
			continue
		}
		select {
		case <-c.ready:
		case <-timeout:
			c.t.Fatal("the event did not come")
		}
	}
	event := c.queue[0]
	c.queue = c.queue[1:]
	return event
}

// poll reads a batch; false if there was none.
func (c *client) poll() bool {
	c.t.Helper()
	frames, err := c.feed.Next(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	r := ssetest.NewReader(strings.NewReader(strings.Join(toStrings(frames), "")))
	for range frames {
		e, err := r.Next()
		if err != nil {
			c.t.Fatal(err)
		}
		c.queue = append(c.queue, e)
	}
	if len(r.Faults) > 0 {
		c.t.Error(r.Faults)
	}
	return len(frames) > 0
}

func toStrings(frames [][]byte) (s []string) {
	for _, f := range frames {
		s = append(s, string(f))
	}
	return s
}

// expect waits for these lines and returns the id of the last.
func (c *client) expect(want ...string) string {
	c.t.Helper()
	id := ""
	for _, w := range want {
		e := c.next()
		if e.Data != w || e.Name != "log" {
			c.t.Fatalf("%s %q, want %q", e.Name, e.Data, w)
		}
		id = e.ID
	}
	return id
}

func numbers(from, to int) (lines []string) {
	for i := from; i < to; i++ {
		lines = append(lines, fmt.Sprintf("line %d", i))
	}
	return lines
}

func text(lines []string) string { return strings.Join(lines, "\n") + "\n" }

func TestLastLinesThenNew(t *testing.T) {
	f := follow(t, text(numbers(0, 20))+"unfini")
	for n, from := range map[int]int{0: 20, 1: 19, 3: 17, 20: 0, 21: 0, 1000: 0} {
		c := f.client(n, "", "")
		c.expect(numbers(from, 20)...)
		defer func() { c.expect("unfinished", "more") }()
	}
	f.write("shed\nmo")
	f.write("re\n")
}

// TestManyLinesAreReadFromTheFile has more lines, and longer ones, than memory
// keeps.
func TestManyLinesAreReadFromTheFile(t *testing.T) {
	lines := numbers(0, 3000)
	for i := range lines {
		lines[i] += strings.Repeat(".", 10_000)
	}
	f := follow(t, text(lines))
	c := f.client(1000, "", "")
	c.expect(lines[2000:]...)
	id := f.client(1000, "", "").expect(lines[2000:2001]...)
	f.write("new\n")
	c.expect("new")
	f.client(0, "", id).expect(append(lines[2001:], "new")...)
}

func TestWhatALineIs(t *testing.T) {
	f := follow(t, "")
	c := f.client(10, "", "")
	long := strings.Repeat("x", tail.MaxLine)
	wide := strings.Repeat("x", tail.MaxLine-1) + "é" // its last rune is cut through
	const cut = " …[truncated]"
	for in, want := range map[string]string{
		"plain\n":                          "plain",
		"\n":                               "",
		"windows\r\n":                      "windows",
		"\r\r\n":                           "\n",   // a lone CR is a line end to SSE
		"a\rb\n":                           "a\nb", // so is this
		" \tblank \n":                      " \tblank ",
		"caf\xe9 \xff\xfe \xe2\x82 é\n":    "caf\ufffd \ufffd\ufffd \ufffd é",
		"id: 1\n":                          "id: 1",
		"nul \x00\n":                       "nul \x00",
		long + "\n":                        long,
		long + "\r\n":                      long,
		long + "y\n":                       long + cut,
		long + "\r\r\n":                    long + cut,
		strings.Repeat(long, 20) + "\n":    long + cut,
		strings.Repeat("é", 40_000) + "\n": strings.Repeat("é", tail.MaxLine/2) + cut,
		wide + "\n":                        strings.Repeat("x", tail.MaxLine-1) + cut,
	} {
		f.write(in)
		if e := c.next(); e.Data != want {
			t.Errorf("%.30q… of %d bytes: %.30q… of %d bytes", in, len(in), e.Data, len(e.Data))
		}
	}
}

func TestGrep(t *testing.T) {
	f := follow(t, text(numbers(0, 30)))
	c := f.client(10, "[05]$", "")
	id := c.expect("line 20", "line 25")
	f.write("no\nline 30\nnone\nline 31\nline 35\n")
	c.expect("line 30", "line 35")
	f.client(0, "[05]$", id).expect("line 30", "line 35")
}

func TestResume(t *testing.T) {
	f := follow(t, text(numbers(0, 2000)))
	c := f.client(1000, "", "")
	middle := c.expect(numbers(1000, 1500)...)
	last := c.expect(numbers(1500, 2000)...)
	for range 2 {
		f.client(5, "", middle).expect(numbers(1500, 2000)...)
		f.client(5, "", last)
		f.restart()
	}
	f.write("new\n")
	f.client(5, "", last).expect("new")
}

// TestResumeFarBehind resumes over a restart at the first line, which only the
// file still has.
func TestResumeFarBehind(t *testing.T) {
	f := follow(t, "line 0\n")
	id := f.client(10, "", "").expect("line 0")
	f.stop()
	f.write(text(numbers(1, 10_000)))
	f.start()
	f.client(0, "", id).expect(numbers(1, 10_000)...)
}

func TestGap(t *testing.T) {
	f := follow(t, text(numbers(0, 20)))
	oldest := f.client(20, "", "").expect("line 0")
	id := f.client(1, "", "").expect("line 19")
	_, offset, _ := strings.Cut(id, "-")
	for _, bad := range []string{"rubbish", "1-" + offset, id + "0", "18446744073709551615-18446744073709551615", "0-0"} {
		c := f.client(3, "", bad)
		want := fmt.Sprintf(`{"after":%q,"oldest":%q}`, bad, oldest)
		if e := c.next(); e.Name != "gap" || e.Data != want || e.ID != "" {
			t.Errorf("%s: %+v", bad, e)
		}
		c.expect(numbers(0, 20)...)
	}
	// Another file of the same name is not taken for the old one.
	f.stop()
	f.must(os.Remove(f.path))
	f.write(strings.ReplaceAll(text(numbers(0, 30)), "line", "LINE"))
	f.start()
	if e := f.client(3, "", id).next(); e.Name != "gap" {
		t.Errorf("in another file: %+v", e)
	}
}

// TestGapIfTheFileIsGone falls behind in a file that was rotated away and deleted.
func TestGapIfTheFileIsGone(t *testing.T) {
	f := follow(t, "start\n")
	c := f.client(1, "", "")
	id := c.expect("start")
	watcher := f.client(0, "", "")
	const files, perFile, kept = 40, 1000, 16 << 10
	for i := range files {
		f.write(text(numbers(i*perFile, (i+1)*perFile)))
		watcher.expect(numbers(i*perFile, (i+1)*perFile)...)
		f.rename(fmt.Sprintf(".%d", i))
		f.must(os.Remove(fmt.Sprintf("%s.%d", f.path, i)))
	}
	e := c.next()
	if e.Name != "gap" || !strings.Contains(e.Data, fmt.Sprintf(`"after":%q`, id)) {
		t.Fatalf("%+v", e)
	}
	c.expect(numbers(files*perFile-kept, files*perFile)...)
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	if err := tail.Check(filepath.Join(dir, "missing")); err != nil {
		t.Error(err)
	}
	if err := tail.Check(dir); err == nil {
		t.Error("a folder can be followed")
	}
}

func TestIDsAreShort(t *testing.T) {
	f := follow(t, text(numbers(0, 100)))
	c := f.client(100, "", "")
	var ids []string
	for range 100 {
		id := c.next().ID
		if len(id) >= 40 || strings.Trim(id, "0123456789-") != "" {
			t.Errorf("id %q", id)
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != 100 {
		t.Error("two lines have the same id")
	}
}
