package tail_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/sse-demo/routes/tail"
)

// unstarted is a fixture whose follower is open, but does not look yet.
func unstarted(t *testing.T, content string) *fixture {
	f := &fixture{T: t, path: filepath.Join(t.TempDir(), "app.log")}
	if content != "" {
		f.write(content)
	}
	f.open()
	return f
}

// TestFirstFileRotated has a file that appears and is rotated before the first look.
func TestFirstFileRotated(t *testing.T) {
	f := unstarted(t, "")
	c := f.client(10, "", "")
	f.write("one\ntwo\n")
	f.rename(".1")
	f.write("three\n")
	f.run()
	c.expect("one", "two", "three")
}

// TestSameTimeAfterRestart has files of one modification time, as of a clock that
// ticks every 4 ms: those that were there at the start are not new.
func TestSameTimeAfterRestart(t *testing.T) {
	f := follow(t, "one\ntwo\n")
	c := f.client(10, "", "")
	c.expect("one", "two")
	f.rename(".1")
	f.write("three\n")
	c.expect("three")
	f.sameTime("", ".1")
	f.restart()
	c = f.client(0, "", "")
	f.rename(".2")
	f.write("four\n")
	c.expect("four")
}

func (f *fixture) sameTime(suffixes ...string) {
	for _, suffix := range suffixes {
		f.must(os.Chtimes(f.path+suffix, time.Time{}, time.Unix(1700000000, 0)))
	}
}

// copyTruncate is what logrotate's option of that name does.
func (f *fixture) copyTruncate(to string) {
	f.Helper()
	content, err := os.ReadFile(f.path)
	f.must(err)
	f.must(os.WriteFile(f.path+to, content, 0o600))
	f.must(os.Truncate(f.path, 0))
}

// TestCopyTruncate has lines that only the copy still has when the follower looks.
func TestCopyTruncate(t *testing.T) {
	f := unstarted(t, "one\ntw")
	c := f.client(10, "", "")
	f.write("o\nthree\n")
	f.copyTruncate(".1")
	f.write("four\n")
	f.run()
	id := c.expect("one", "two")
	c.expect("three", "four")
	f.client(0, "", id).expect("three", "four")
	f.restart()
	f.client(0, "", id).expect("three", "four") // from the copy
}

// TestUnfinishedLineOfATruncatedFile is no line: it was not complete, and no file has it.
func TestUnfinishedLineOfATruncatedFile(t *testing.T) {
	f := follow(t, "one\ntw")
	c := f.client(10, "", "")
	c.expect("one")
	f.emptied()
	f.write("three\n")
	c.expect("three")
}

// TestUnfinishedLineOfACopy is a line: the copy has it, and nothing is added to that.
func TestUnfinishedLineOfACopy(t *testing.T) {
	f := follow(t, "one\ntw")
	c := f.client(10, "", "")
	c.expect("one")
	f.copyTruncate(".1")
	f.write("three\n")
	c.expect("tw", "three")
}

// TestCopyIsNotNew has copies that were read, when the file is rotated by its name:
// a whole one, and one that was made before the last line.
func TestCopyIsNotNew(t *testing.T) {
	for name, late := range map[string][]string{"whole": nil, "older": {"late"}} {
		t.Run(name, func(t *testing.T) {
			f := follow(t, "one\ntwo\n")
			c := f.client(10, "", "")
			c.expect("one", "two")
			content, err := os.ReadFile(f.path)
			f.must(err)
			f.must(os.WriteFile(f.path+".1", content, 0o600))
			if len(late) == 0 {
				f.sameTime(".1")
			}
			for _, line := range late {
				f.write(line + "\n")
				c.expect(line)
			}
			f.must(os.Truncate(f.path, 0))
			f.write("after\n")
			c.expect("after")
			if len(late) == 0 {
				f.sameTime("")
			}
			f.rename(".2")
			f.write("three\n")
			c.expect("three")
		})
	}
}

// TestHole truncates under a writer without O_APPEND, which goes on at its old offset.
func TestHole(t *testing.T) {
	for _, size := range []int64{1, 9, 255, 256, 257, 64<<10 - 1, 64 << 10, 64<<10 + 1, 5 << 20} {
		for _, settled := range []bool{false, true} {
			t.Run(fmt.Sprint(size, settled), func(t *testing.T) {
				f := follow(t, "one\n")
				c := f.client(10, "", "")
				c.expect("one")
				if settled {
					f.emptied()
				}
				file, err := os.OpenFile(f.path, os.O_WRONLY|os.O_TRUNC, 0)
				f.must(err)
				_, err = file.WriteAt([]byte("fir"), size)
				f.must(err)
				_, err = file.WriteAt([]byte("st\nsecond\n"), size+3)
				f.must(err)
				f.must(file.Close())
				id := c.expect("first")
				c.expect("second")
				f.client(10, "", "").expect("first", "second")
				f.client(0, "", id).expect("second")
				f.restart()
				f.client(10, "", "").expect("first", "second")
				f.client(0, "", id).expect("second")
			})
		}
	}
}

// TestHoleInTheMiddle is part of a line: nobody says that it is not.
func TestHoleInTheMiddle(t *testing.T) {
	f := follow(t, "one\n")
	c := f.client(10, "", "")
	c.expect("one")
	f.must(os.Truncate(f.path, 10))
	f.write("two\n")
	c.expect(strings.Repeat("\x00", 6) + "two")
	f.must(os.Truncate(f.path, 200_000))
	f.write("three\nfour\n")
	c.expect(strings.Repeat("\x00", tail.MaxLine)+" …[truncated]", "four")
}

// TestResumeAfterSecondTruncation has a line in memory whose file was truncated since.
func TestResumeAfterSecondTruncation(t *testing.T) {
	f := follow(t, "zero\n")
	c := f.client(10, "", "")
	c.expect("zero")
	f.emptied()
	f.write("one\ntwo\n")
	id := c.expect("one", "two")
	f.restart()
	f.emptied()
	f.write("three\n")
	f.client(0, "", id).expect("three")
}

// TestSymbolicLink swaps the link, also back to a file that it had pointed to before.
func TestSymbolicLink(t *testing.T) {
	f := &fixture{T: t, path: filepath.Join(t.TempDir(), "app.log")}
	swap := func(target, line string) {
		f.must(os.Symlink(target, f.path+".new"))
		f.must(os.Rename(f.path+".new", f.path))
		f.write(line + "\n")
	}
	swap("blue", "one")
	f.start()
	c := f.client(10, "", "")
	c.expect("one")
	for i, target := range []string{"green", "blue", "green"} {
		line := fmt.Sprintf("line %d", i)
		swap(target, line)
		c.expect(line)
	}
}

// TestReturnsToRotatedFiles has files that were rotated while the service was away.
func TestReturnsToRotatedFiles(t *testing.T) {
	f := follow(t, text(numbers(0, 10)))
	id := f.client(10, "", "").expect(numbers(0, 5)...)
	f.stop()
	f.rename(".2")
	f.write(text(numbers(10, 20)))
	f.rename(".1")
	f.must(os.Chtimes(f.path+".2", time.Time{}, time.Now().Add(-time.Minute)))
	f.write(text(numbers(20, 30)))
	f.start()
	c := f.client(0, "", id)
	c.expect(numbers(5, 30)...)
	f.write("new\n")
	c.expect("new")
}
