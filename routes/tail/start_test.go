package tail_test

import (
	"path/filepath"
	"strings"
	"testing"

	"example.com/sse-demo/routes/tail"
)

// TestLastLinesJustWritten opens feeds right after lines were written, also in a new
// file: the last lines are counted from the newest.
func TestLastLinesJustWritten(t *testing.T) {
	for name, lines := range map[string]int{"none": 0, "some": 5, "all": 20} {
		for _, rotates := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				const perRound = 20
				f := follow(t, "")
				f.seen("start")
				for i := range 200 {
					if rotates && i%10 == 9 {
						f.rename(".1")
					}
					written := numbers(i*perRound, (i+1)*perRound)
					f.write(text(written))
					c := f.client(lines, "", "")
					f.write("new\n")
					c.expect(append(written[perRound-lines:], "new")...)
					c.feed.Close()
				}
			})
		}
	}
}

// TestNotFollowed opens a feed of a follower that does not run: it has what was there
// at the start.
func TestNotFollowed(t *testing.T) {
	f := &fixture{T: t, path: filepath.Join(t.TempDir(), "app.log")}
	f.write(text(numbers(0, 9)))
	f.open()
	f.client(5, "", "").expect(numbers(4, 9)...)
}

// TestLimitOfLastLines has a line that begins as far back as the last lines are looked
// for, and one that begins a byte before.
func TestLimitOfLastLines(t *testing.T) {
	const length = tail.MaxBackfill - len("\n\n") // the line end before it is within the limit
	f := follow(t, "")
	f.write("one\n" + strings.Repeat("x", length) + "\n")
	f.restart()
	f.client(1000, "", "").expect(strings.Repeat("x", tail.MaxLine) + " …[truncated]")
	f.write("\n")
	f.restart()
	f.client(1000, "", "").expect("")
}

// TestLastLinesOfMaxLine has as many lines as a client may ask for, each as long as a line
// that is not cut: none is too far back.
func TestLastLinesOfMaxLine(t *testing.T) {
	f := follow(t, "first\n"+strings.Repeat(strings.Repeat("x", tail.MaxLine)+"\r\n", 1000))
	if got := f.client(1000, "", "").feed.Position(); !strings.HasSuffix(got, "-6") {
		t.Errorf("position %s, want the end of the first line", got)
	}
}
