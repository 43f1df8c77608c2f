package job_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"example.com/sse-demo/routes/job"
)

// everything is an id before all events: with it a watch begins with a gap and
// then has all that is kept.
const everything = "0-0"

// events watches a job to its end and returns its frames.
func events(t *testing.T, m *job.Manager, id string) string {
	t.Helper()
	watch, err := m.Watch(t.Context(), id, everything)
	if err != nil {
		t.Fatal(err)
	}
	return drain(watch)
}

// drain returns the frames of a watch up to its end, and closes it.
func drain(watch *job.Watch) string {
	defer watch.Close()
	more := make(chan struct{}, 1)
	watch.Notify(func() {
		select {
		case more <- struct{}{}:
		default:
		}
	})
	var all []byte
	for {
		frames, err := watch.Next(nil)
		all = append(all, bytes.Join(frames, nil)...)
		if errors.Is(err, io.EOF) {
			return string(all)
		}
		if len(frames) == 0 {
			<-more
		}
	}
}

// start starts a job without watching it.
func start(t *testing.T, m *job.Manager, id, kind string, r job.Request) error {
	t.Helper()
	watch, err := m.Start(t.Context(), id, kind, r)
	if err == nil {
		watch.Close()
	}
	return err
}

func build(t *testing.T, m *job.Manager, id string, duration time.Duration) error {
	t.Helper()
	return start(t, m, id, job.BuildKind, job.Request{Duration: duration})
}

// run runs one job of the kind to its end.
func run(t *testing.T, kind job.Kind) (frames, log string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		m := job.NewManager(zerolog.New(&text), job.NewJournal())
		m.Kinds["test"] = kind
		watch, err := m.Start(t.Context(), "a", "test", job.Request{})
		if err != nil {
			t.Fatal(err)
		}
		frames = drain(watch)
		m.Close()
		log = text.String()
	})
	return frames, log
}

func report(f func(ctx context.Context, report func(job.Progress)) error) job.Kind {
	return job.Kind{Report: func(ctx context.Context, _ job.Request, report func(job.Progress)) error { return f(ctx, report) }}
}

func write(f func(ctx context.Context, write func(string) error) error) job.Kind {
	return job.Kind{Write: func(ctx context.Context, _ job.Request, write func(string) error) error { return f(ctx, write) }}
}

func TestPercentNeverFalls(t *testing.T) {
	frames, _ := run(t, report(func(_ context.Context, report func(job.Progress)) error {
		for _, percent := range []int{-5, 30, 20, 40, 1000, 0} {
			report(job.Progress{Percent: percent})
		}
		return nil
	}))
	var got []string
	for line := range strings.Lines(frames) {
		if _, rest, ok := strings.Cut(line, `"percent":`); ok {
			percent, _, _ := strings.Cut(rest, ",")
			got = append(got, percent)
		}
	}
	if want := "0 30 30 40 100 100"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
}

// TestFrames: ids count the events, from the time of the start, and the last one
// has the highest number.
func TestFrames(t *testing.T) {
	reported, _ := run(t, report(func(_ context.Context, report func(job.Progress)) error {
		report(job.Progress{Percent: 5, Stage: "s", Message: "m"})
		<-time.After(time.Second)
		return nil
	}))
	want := "id: 946684800000-1000001\nevent: progress\ndata: {\"id\":\"a\",\"percent\":5,\"stage\":\"s\",\"message\":\"m\",\"elapsedMs\":0}\n\n" +
		"id: 946684800000-18446744073709551615\nevent: done\ndata: {\"id\":\"a\",\"status\":\"succeeded\",\"elapsedMs\":1000}\n\n"
	if reported != want {
		t.Errorf("%q, want %q", reported, want)
	}
	written, _ := run(t, write(func(_ context.Context, write func(string) error) error {
		return errors.Join(write("Hel"), write(""), write("lo\n"))
	}))
	want = "id: 946684800000-1000001\nevent: token\ndata: {\"id\":\"a\",\"index\":0,\"text\":\"Hel\"}\n\n" +
		"id: 946684800000-1000002\nevent: token\ndata: {\"id\":\"a\",\"index\":1,\"text\":\"lo\\n\"}\n\n" +
		"id: 946684800000-18446744073709551615\nevent: done\ndata: {\"id\":\"a\",\"status\":\"succeeded\",\"elapsedMs\":0,\"tokens\":2}\n\n"
	if written != want {
		t.Errorf("%q, want %q", written, want)
	}
}

func TestFailure(t *testing.T) {
	frames, log := run(t, report(func(context.Context, func(job.Progress)) error {
		return errors.New("the disk is\nfull")
	}))
	if !strings.Contains(frames, `"status":"failed","error":"the disk is\nfull"`) || !strings.Contains(log, "a job has failed") {
		t.Error(frames, log)
	}
}

// TestPanicIsAFailure, and what was written before it is kept.
func TestPanicIsAFailure(t *testing.T) {
	frames, log := run(t, write(func(_ context.Context, write func(string) error) error {
		if err := write("Hel"); err != nil {
			return err
		}
		panic("secret")
	}))
	if !strings.Contains(frames, `"status":"failed","error":"internal error`) || strings.Contains(frames, "secret") || !strings.Contains(frames, `"Hel"`) {
		t.Error(frames)
	}
	if !strings.Contains(log, "secret") || strings.Count(log, "panicked") != 1 {
		t.Error(log)
	}
}

// TestTextIsBounded at its number of pieces and at its bytes; what fits is kept.
func TestTextIsBounded(t *testing.T) {
	for _, tt := range []struct {
		piece  string
		pieces int
		status string
	}{
		{"a", job.MaxPieces, "succeeded"},
		{"a", job.MaxPieces + 1, "failed"},
		{strings.Repeat("a", job.MaxText/8), 8, "succeeded"},
		{strings.Repeat("a", job.MaxText/8), 9, "failed"},
	} {
		t.Run(fmt.Sprintf("%d × %d bytes", tt.pieces, len(tt.piece)), func(t *testing.T) {
			frames, _ := run(t, write(func(_ context.Context, write func(string) error) error {
				for range tt.pieces {
					if err := write(tt.piece); err != nil {
						return err
					}
				}
				return nil
			}))
			kept := min(tt.pieces, job.MaxPieces, job.MaxText/len(tt.piece))
			if !strings.Contains(frames, `"status":"`+tt.status+`"`) || strings.Count(frames, "event: token\n") != kept ||
				!strings.Contains(frames, fmt.Sprintf(`"tokens":%d}`, kept)) || strings.Contains(frames, "event: gap") {
				t.Errorf("%d tokens, …%s", strings.Count(frames, "event: token\n"), frames[len(frames)-250:])
			}
		})
	}
}

// TestWatchers: a late one gets the newest progress, but all of a text, and one
// that comes back the rest.
func TestWatchers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := job.NewManager(zerolog.Nop(), job.NewJournal())
		defer m.Close()
		watch := func(id, after string) string {
			w, err := m.Watch(t.Context(), id, after)
			if err != nil {
				t.Error(id, after, err)
				return ""
			}
			return w.Position() + "\n" + drain(w)
		}
		m.Kinds["steps"] = report(func(_ context.Context, report func(job.Progress)) error {
			report(job.Progress{Percent: 1})
			report(job.Progress{Percent: 2})
			<-time.After(time.Second)
			return nil
		})
		m.Kinds["text"] = write(func(_ context.Context, write func(string) error) error {
			defer func() { <-time.After(time.Second) }()
			return errors.Join(write("Hel"), write("lo"))
		})
		for _, kind := range []string{"steps", "text"} {
			if err := start(t, m, kind[:1], kind, job.Request{}); err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Millisecond)
		}
		position, frames, _ := strings.Cut(watch("s", ""), "\n")
		if !strings.HasPrefix(frames, "id: 946684800000-1000002\n") || position != "946684800000-1000001" {
			t.Errorf("%s\n%s", position, frames)
		}
		base := "946684800001-0"
		position, frames, _ = strings.Cut(watch("t", ""), "\n")
		if strings.Count(frames, "event: token") != 2 || position != base || strings.Contains(frames, "gap") {
			t.Errorf("%s\n%s", position, frames)
		}
		for _, again := range []string{watch("t", ""), watch("t", base)} { // it is over
			if again != position+"\n"+frames {
				t.Errorf("%s\nwant\n%s", again, frames)
			}
		}
		if rest := watch("t", "946684800001-1"); strings.Count(rest, "event: token") != 1 || strings.Contains(rest, "gap") {
			t.Error(rest)
		}
		for _, other := range []string{"946684800000-1000002", "x", "99999999999999-0"} {
			if all := watch("t", other); !strings.Contains(all, "event: gap\n") || strings.Count(all, "event: token") != 2 {
				t.Errorf("%s: %s", other, all)
			}
		}
	})
}

// TestUnknownJobs: a client that resumes one is answered that it is gone; to a client
// that cannot have been there it is none. Watching starts nothing.
func TestUnknownJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		journal := &counting{Journal: job.NewJournal()}
		m := job.NewManager(zerolog.Nop(), journal)
		defer m.Close()
		now := time.Now().UnixMilli()
		for _, after := range []string{everything, "1-1", fmt.Sprintf("%d-7", now), fmt.Sprintf("%d-0", now+59_999)} {
			ms, _, _ := strings.Cut(after, "-")
			want := fmt.Sprintf("event: gap\ndata: {\"after\":%q,\"oldest\":\"%s-18446744073709551615\"}\n\n", after, ms)
			w, err := m.Watch(t.Context(), "a", after)
			if err != nil {
				t.Fatal(after, err)
			}
			if got := drain(w); !strings.HasPrefix(got, want) || !strings.Contains(got, `"status":"failed","error":"this job is no longer known`) {
				t.Errorf("%s: %s", after, got)
			}
			if _, err := m.Watch(t.Context(), "a", ms+"-18446744073709551615"); !errors.Is(err, job.ErrSeen) {
				t.Error(after, err)
			}
		}
		for _, after := range []string{"", "x", "99999999999999-0", "99999999999999-18446744073709551615", "18446744073709551615-0"} {
			if _, err := m.Watch(t.Context(), "b", after); !errors.Is(err, job.ErrNone) {
				t.Error(after, err)
			}
		}
		if m.Running() != 0 || journal.published.Load() != 0 {
			t.Error(m.Running(), "are running, after", journal.published.Load(), "messages")
		}
	})
}

// counting counts what is published.
type counting struct {
	job.Journal
	published atomic.Int64
}

func (c *counting) Publish(ctx context.Context, name string, data []byte) error {
	c.published.Add(1)
	return c.Journal.Publish(ctx, name, data)
}

// TestEndedJobsAreBounded: those that ended first are dropped early if all are too
// large.
func TestEndedJobsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := job.NewManager(zerolog.Nop(), job.NewJournal())
		defer m.Close()
		m.Kinds["large"] = write(func(_ context.Context, write func(string) error) error {
			return write(strings.Repeat("a", job.MaxText))
		})
		known := func(id string) bool {
			w, err := m.Watch(t.Context(), id, "")
			if err != nil && !errors.Is(err, job.ErrNone) {
				t.Fatal(err)
			}
			if err == nil {
				w.Close()
			}
			return err == nil
		}
		const fit = 64 << 20 / (job.MaxText + 2048)
		for i := range fit + 2 {
			if err := start(t, m, fmt.Sprint(i), "large", job.Request{}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if known("0") || !known("3") || !known(fmt.Sprint(fit+1)) {
			t.Error(known("0"), known("3"), known(fmt.Sprint(fit+1)))
		}
		<-time.After(job.Keep + time.Millisecond)
		if known(fmt.Sprint(fit + 1)) {
			t.Error("it is kept for longer")
		}
	})
}

// TestWorkThatDoesNotListen is cancelled for its watchers at once, and counts as
// running until it returns.
func TestWorkThatDoesNotListen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := job.NewManager(zerolog.Nop(), job.NewJournal())
		defer m.Close()
		m.Kinds["deaf"] = report(func(_ context.Context, report func(job.Progress)) error {
			<-time.After(time.Hour)
			report(job.Progress{Percent: 99})
			return nil
		})
		_ = start(t, m, "a", "deaf", job.Request{})
		if err := m.Cancel(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if frames := events(t, m, "a"); !strings.Contains(frames, "cancelled") || m.Running() != 1 {
			t.Error(frames, m.Running())
		}
		if err := build(t, m, "a", time.Second); err != nil {
			t.Error("it cannot be started again:", err)
		}
		if frames := events(t, m, "a"); !strings.Contains(frames, "succeeded") {
			t.Error(frames)
		}
	})
}

// TestStop ends jobs for their watchers at once, whatever their work does.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := job.NewManager(zerolog.Nop(), job.NewJournal())
		m.Kinds["deaf"] = report(func(context.Context, func(job.Progress)) error { <-time.After(time.Hour); return nil })
		_ = start(t, m, "a", "deaf", job.Request{})
		_ = build(t, m, "b", time.Minute)
		began := time.Now()
		m.Stop()
		for _, id := range []string{"a", "b"} {
			if frames := events(t, m, id); !strings.Contains(frames, `"failed","error":"the process that ran this job was shut down`) {
				t.Error(frames)
			}
		}
		if err := build(t, m, "c", time.Minute); !errors.Is(err, job.ErrClosed) || time.Since(began) > 0 {
			t.Error(err, time.Since(began))
		}
		m.Close()
		if m.Running() != 0 {
			t.Error("its work goes on")
		}
	})
}

func TestCannedAnswer(t *testing.T) {
	texts := map[string]bool{}
	for _, prompt := range []string{"Why?", "What of a WebSocket?", "my proxy", "reconnect, token", strings.Repeat("long\n", 1000)} {
		synctest.Test(t, func(t *testing.T) {
			m := job.NewManager(zerolog.Nop(), job.NewJournal())
			defer m.Close()
			began := time.Now()
			watch, err := m.Start(t.Context(), "a", job.AnswerKind, job.Ask(prompt))
			if err != nil {
				t.Fatal(err)
			}
			frames := drain(watch)
			texts[frames] = true
			pieces, took := strings.Count(frames, "event: token\n"), time.Since(began)
			if pieces < 20 || took < 3*time.Second || took > 10*time.Second || !strings.Contains(frames, fmt.Sprintf(`"tokens":%d}`, pieces)) {
				t.Error(pieces, took, frames)
			}
		})
	}
	if len(texts) != 5 {
		t.Error("it does not depend on the prompt")
	}
}
