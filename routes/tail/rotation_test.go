package tail_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"example.com/sse-demo/routes/tail"
)

func TestMissingFile(t *testing.T) {
	f := follow(t, "")
	if e := f.client(10, "", "0-0").next(); e.Data != `{"after":"0-0","oldest":null}` {
		t.Errorf("%+v", e)
	}
	c := f.client(10, "", "")
	f.write("first\n")
	c.expect("first")
}

func TestMissingFolder(t *testing.T) {
	f := &fixture{T: t, path: filepath.Join(t.TempDir(), "a", "b", "app.log")}
	f.start()
	c := f.client(10, "", "")
	for _, line := range []string{"first", "second"} {
		f.must(os.MkdirAll(filepath.Dir(f.path), 0o700))
		f.write(line + "\n")
		c.expect(line)
		f.must(os.RemoveAll(filepath.Dir(f.path)))
	}
}

func TestDeletedAndCreatedAgain(t *testing.T) {
	f := follow(t, "old\n")
	c := f.client(10, "", "")
	c.expect("old")
	for i := range 3 {
		f.must(os.Remove(f.path))
		f.write(fmt.Sprintf("new %d\n", i))
		c.expect(fmt.Sprintf("new %d", i))
	}
	f.client(10, "", "").expect("new 2")
}

func TestTruncated(t *testing.T) {
	f := follow(t, text(numbers(0, 100)))
	c := f.client(1, "", "")
	last := c.expect("line 99")
	f.must(os.Truncate(f.path, 0)) // as copytruncate does
	f.write("after 1\n")
	c.expect("after 1")
	f.must(os.WriteFile(f.path, []byte("another beginning\nand more than before\n"), 0o600))
	c.expect("another beginning", "and more than before")
	f.client(10, "", "").expect("another beginning", "and more than before")
	f.client(10, "", last).expect("after 1", "another beginning", "and more than before")
}

func TestRenamedWithAnUnfinishedLine(t *testing.T) {
	f := follow(t, "one\ntw")
	c := f.client(10, "", "")
	c.expect("one")
	f.rename(".1")
	f.write("three\n")
	c.expect("tw", "three")
}

// TestWriterThatNoticesLate goes on in the renamed file for a while, as a daemon
// does until logrotate's signal has reached it.
func TestWriterThatNoticesLate(t *testing.T) {
	f := follow(t, "one\n")
	c := f.client(10, "", "")
	c.expect("one")
	old, err := os.OpenFile(f.path, os.O_APPEND|os.O_WRONLY, 0)
	f.must(err)
	defer func() { f.must(old.Close()) }()
	f.rename(".1")
	f.write("") // the new file is there, empty
	for i := range 3 {
		_, err = fmt.Fprintf(old, "late %d\n", i)
		f.must(err)
		c.expect(fmt.Sprintf("late %d", i))
	}
	f.write("two\n")
	c.expect("two")
}

// TestWriterThatNeverNotices goes on in a rotated file: what is new in it comes at the
// next rotation, and what is old does not.
func TestWriterThatNeverNotices(t *testing.T) {
	for name, restart := range map[string]func(f *fixture){
		"in a file that was followed":              func(*fixture) {},
		"in one that was rotated before the start": (*fixture).restart,
	} {
		t.Run(name, func(t *testing.T) {
			f := follow(t, "old\n")
			f.client(10, "", "").expect("old")
			f.rename(".1")
			f.write("one\n")
			for f.client(10, "", "").next().Data != "one" {
			}
			restart(f)
			c := f.client(1, "", "")
			c.expect("one")
			(&fixture{T: t, path: f.path + ".1"}).write("late\n")
			f.must(os.Rename(f.path+".1", f.path+".2"))
			f.rename(".1")
			f.write("two\n")
			c.expect("late", "two")
		})
	}
}

// TestQuickRotations renames the file 100 times after 50 lines, as fast as it
// can, in the ways that rotation does it.
func TestQuickRotations(t *testing.T) {
	for name, rotate := range map[string]func(f *fixture, i int){
		"numbers rise": func(f *fixture, i int) { f.rename(fmt.Sprintf(".%d", i)) },
		"shifted": func(f *fixture, i int) {
			for n := i; n > 0; n-- {
				f.must(os.Rename(fmt.Sprintf("%s.%d", f.path, n), fmt.Sprintf("%s.%d", f.path, n+1)))
			}
			f.rename(".1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := follow(t, "start\n")
			c := f.client(1, "", "")
			c.expect("start")
			const files, perFile = 100, 50
			for i := range files {
				f.write(text(numbers(i*perFile, (i+1)*perFile)))
				rotate(f, i)
			}
			f.write("end\n")
			c.expect(append(numbers(0, files*perFile), "end")...)
		})
	}
}

// TestRotationsWithinOneTick has files whose times are the same, so that only their
// names, and the one that was followed, show which is older.
func TestRotationsWithinOneTick(t *testing.T) {
	for name, suffixes := range map[string][]string{
		"numbers rise": {".8", ".9", ".10"},
		"shifted":      {".10", ".9", ".8"},
		"times":        {"-20261121T0859", "-20261121T0900", "-20261121T1000"},
	} {
		for _, inodes := range []string{"012", "021", "102", "120", "201", "210"} {
			t.Run(name+inodes, func(t *testing.T) { rotateWithinOneTick(t, suffixes, inodes) })
		}
	}
}

// rotateWithinOneTick has three files which were created in any order.
func rotateWithinOneTick(t *testing.T, suffixes []string, inodes string) {
	f := &fixture{T: t, path: filepath.Join(t.TempDir(), "app.log")}
	for i := range inodes {
		f.must(os.WriteFile(fmt.Sprint(f.path, i), nil, 0o600))
	}
	for i, line := range []string{"one\n", "two\n", "three\n"} {
		f.must(os.Rename(f.path+inodes[i:i+1], f.path))
		f.write(line)
		if i == 0 {
			f.open()
		}
		f.rename(suffixes[i])
	}
	f.write("four\n")
	for _, suffix := range append(suffixes, "") {
		f.must(os.Chtimes(f.path+suffix, time.Time{}, time.Unix(1700000000, 0)))
	}
	c := f.client(1, "", "")
	f.run()
	c.expect("one", "two", "three", "four")
}

// TestRotationsWithClientsThatComeAndGo rotates while clients resume, so that
// they are served from memory and from files alternately.
func TestRotationsWithClientsThatComeAndGo(t *testing.T) {
	f := follow(t, "start\n")
	id := f.client(1, "", "").expect("start")
	const files, perFile = 20, 40
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range files {
			for _, line := range numbers(i*perFile, (i+1)*perFile) {
				f.write(line + "\n")
			}
			f.rename(fmt.Sprintf(".%d", i))
		}
	})
	for i := 0; i < files*perFile; i += 10 {
		c := f.client(0, "", id)
		id = c.expect(numbers(i, i+10)...)
		c.feed.Close()
	}
	wg.Wait()
}

// TestRotatedWhileItIsLookedFor renames the file of a client that is behind at the moment
// in which it is opened by its old name.
func TestRotatedWhileItIsLookedFor(t *testing.T) {
	f := follow(t, "one\ntwo\n")
	id := f.client(10, "", "").expect("one")
	f.stop()
	f.rename(".1")
	f.write("three\n")
	var rename atomic.Bool
	f.Follower = tail.NewWith(f.path, zerolog.Nop(), func(path string) (tail.File, error) {
		if path != f.path && rename.Swap(false) {
			if err := os.Rename(path, path+"0"); err != nil {
				t.Error(err)
			}
		}
		return os.Open(path)
	})
	rename.Store(true)
	c := f.client(0, "", id)
	rename.Store(true)
	c.expect("two", "three")
}

// TestRotatedAtTheStart rotates the file when a service opens it for the first time.
func TestRotatedAtTheStart(t *testing.T) {
	for _, isOpen := range []bool{false, true} {
		t.Run(fmt.Sprint(isOpen), func(t *testing.T) {
			f := follow(t, "one\n")
			id := f.client(10, "", "").expect("one")
			f.stop()
			f.rename(".1")
			f.write("two\n")
			isRotated := false
			f.Follower = tail.NewWith(f.path, zerolog.Nop(), func(path string) (tail.File, error) {
				if path != f.path || isRotated {
					return os.Open(path)
				}
				isRotated = true
				file, err := os.Open(path)
				for i, line := range []string{"three\n", "four\n"} {
					f.rename(fmt.Sprintf(".%d", i+2))
					f.write(line)
				}
				if !isOpen {
					f.must(file.Close())
					return os.Open(path)
				}
				return file, err
			})
			f.run()
			f.client(0, "", id).expect("two", "three", "four")
		})
	}
}

func TestOtherFilesAreNotTaken(t *testing.T) {
	f := follow(t, "one\n")
	c := f.client(10, "", "")
	c.expect("one")
	for _, name := range []string{".bak", ".1.gz", "2", "-old"} {
		f.must(os.WriteFile(f.path+name, []byte("no\n"), 0o600))
	}
	f.rename(".1")
	f.write("two\n")
	c.expect("two")
	if c.poll() {
		t.Errorf("%+v", c.queue)
	}
}

// TestTruncatedAndWrittenAgain: what is written after a truncation may equal what was
// there before, and is other lines all the same.
func TestTruncatedAndWrittenAgain(t *testing.T) {
	f := follow(t, "old\n")
	c := f.client(0, "", "")
	again := func(lines ...string) (ids []string) {
		f.emptied()
		for _, line := range lines {
			f.write(line + "\n")
			ids = append(ids, c.expect(line))
		}
		return ids
	}
	first, second := again("a", "b"), again("a", "b")
	f.client(10, "", first[0]).expect("b", "a", "b")
	f.client(10, "", first[1]).expect("a", "b")
	f.restart()
	f.write("c\n")
	f.client(10, "", second[0]).expect("b", "c")
	f.client(10, "", second[1]).expect("c")
}

// emptied truncates the file, and waits until the follower has seen that.
func (f *fixture) emptied() {
	start := func() string {
		feed := f.Follow(10, nil, "")
		defer feed.Close()
		return feed.Position()
	}
	before := start()
	f.must(os.Truncate(f.path, 0))
	for start() == before {
		<-time.After(time.Millisecond)
	}
}
