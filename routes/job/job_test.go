package job_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/routes/job"
)

// events watches a job to its end and returns its frames.
func events(t *testing.T, m *job.Manager, id string) string {
	t.Helper()
	watch, err := m.Watch(t.Context(), id, "0-0", nil) // an id of no event: all there is
	if err != nil {
		t.Fatal(err)
	}
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

func run(t *testing.T, work job.Work) (frames, log string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		m := job.NewManager(zerolog.New(&text), pubsub.NewMemory(1, 1))
		if err := m.Start(t.Context(), "a", work); err != nil {
			t.Fatal(err)
		}
		frames = events(t, m, "a")
		m.Close()
		log = text.String()
	})
	return frames, log
}

func TestPercentNeverFalls(t *testing.T) {
	frames, _ := run(t, func(_ context.Context, report func(job.Progress)) error {
		for _, percent := range []int{-5, 30, 20, 40, 1000, 0} {
			report(job.Progress{Percent: percent})
		}
		return nil
	})
	var got []string
	for line := range strings.Lines(frames) {
		if _, rest, ok := strings.Cut(line, `"percent":`); ok {
			percent, _, _ := strings.Cut(rest, ",")
			got = append(got, percent)
		}
	}
	if want := "0 0 30 30 40 100 100"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
}

func TestFailure(t *testing.T) {
	frames, log := run(t, func(context.Context, func(job.Progress)) error {
		return errors.New("the disk is\nfull")
	})
	if !strings.Contains(frames, `"status":"failed","error":"the disk is\nfull"`) || log != "" {
		t.Error(frames, log)
	}
}

func TestPanicIsAFailure(t *testing.T) {
	frames, log := run(t, func(context.Context, func(job.Progress)) error { panic("secret") })
	if !strings.Contains(frames, `"status":"failed","error":"internal error"`) || strings.Contains(frames, "secret") {
		t.Error(frames)
	}
	if strings.Count(log, "secret") == 0 || strings.Count(log, "\n") != 1 {
		t.Error(log)
	}
}

// TestWorkThatDoesNotListen is cancelled for its watchers at once, and holds its
// place until it returns.
func TestWorkThatDoesNotListen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := job.NewManager(zerolog.Nop(), pubsub.NewMemory(1, 1))
		defer m.Close()
		_ = m.Start(t.Context(), "a", func(_ context.Context, report func(job.Progress)) error {
			<-time.After(time.Hour)
			report(job.Progress{Percent: 99})
			return nil
		})
		if err := m.Cancel(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if frames := events(t, m, "a"); !strings.Contains(frames, "cancelled") || m.Running() != 1 {
			t.Error(frames, m.Running())
		}
		if err := m.Start(t.Context(), "a", job.Demo(time.Second)); err != nil {
			t.Error("it cannot be started again:", err)
		}
		if frames := events(t, m, "a"); !strings.Contains(frames, "succeeded") {
			t.Error(frames)
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := job.NewManager(zerolog.Nop(), pubsub.NewMemory(1, 1))
		_ = m.Start(t.Context(), "a", job.Demo(time.Minute))
		m.Close()
		if frames := events(t, m, "a"); !strings.Contains(frames, `"failed","error":"the replica that ran it was shut down"`) {
			t.Error(frames)
		}
		if err := m.Start(t.Context(), "b", job.Demo(time.Minute)); !errors.Is(err, job.ErrClosed) {
			t.Error(err)
		}
	})
}
