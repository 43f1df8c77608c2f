package tail_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
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
	for _, id := range []string{absent, start} {
		if e := f.client(10, "", id).next(); e.Name != "gap" {
			t.Errorf("%s: %+v", id, e)
		}
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
