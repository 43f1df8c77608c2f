package job_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/routes/job"
)

// link is a replica's way to the journal that all share. While it is cut, it is
// as if the replica were dead, or alone.
type link struct {
	job.Journal
	cut atomic.Bool
}

var errCut = errors.New("cut")

func (l *link) Publish(ctx context.Context, name string, data []byte) error {
	if l.cut.Load() {
		return errCut
	}
	return l.Journal.Publish(ctx, name, data)
}

func (l *link) Observe(see func(pubsub.ID, string, []byte)) {
	l.Journal.Observe(func(id pubsub.ID, name string, data []byte) {
		if !l.cut.Load() {
			see(id, name, data)
		}
	})
}

func (l *link) Err() error {
	if l.cut.Load() {
		return errCut
	}
	return nil
}

// replicas runs test with two managers that share a journal.
func replicas(t *testing.T, test func(t *testing.T, links [2]*link, managers [2]*job.Manager)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		journal := job.NewJournal()
		var links [2]*link
		var managers [2]*job.Manager
		for i := range managers {
			links[i] = &link{Journal: journal}
			managers[i] = job.NewManager(zerolog.Nop(), links[i])
			defer managers[i].Close()
		}
		test(t, links, managers)
	})
}

func TestWatchedOnAnotherReplica(t *testing.T) {
	replicas(t, func(t *testing.T, _ [2]*link, m [2]*job.Manager) {
		if err := build(t, m[0], "a", time.Second); err != nil {
			t.Fatal(err)
		}
		if err := build(t, m[1], "a", time.Second); !errors.Is(err, job.ErrRunning) {
			t.Error("it can be started twice:", err)
		}
		synctest.Wait() // it has reported that it has started
		here, there := events(t, m[0], "a"), events(t, m[1], "a")
		if here != there || !strings.Contains(here, `"status":"succeeded"`) {
			t.Errorf("%s\n%s", here, there)
		}
		if m[0].Running() != 0 || m[1].Running() != 0 {
			t.Error(m[0].Running(), m[1].Running())
		}
		id := here[strings.LastIndex(here, "id: ")+4:]
		id, _, _ = strings.Cut(id, "\n")
		if _, err := m[1].Watch(t.Context(), "a", id); !errors.Is(err, job.ErrSeen) {
			t.Error("a client that has seen the end elsewhere:", err)
		}
	})
}

// TestFirstClaimWins: many start the same job everywhere, and one does.
func TestFirstClaimWins(t *testing.T) {
	replicas(t, func(t *testing.T, _ [2]*link, m [2]*job.Manager) {
		var ran atomic.Int64
		count := report(func(context.Context, func(job.Progress)) error { ran.Add(1); <-time.After(time.Second); return nil })
		m[0].Kinds["count"], m[1].Kinds["count"] = count, count
		var starting sync.WaitGroup
		var started atomic.Int64
		for n := range 50 {
			starting.Go(func() {
				switch err := start(t, m[n%2], "a", "count", job.Request{}); {
				case err == nil:
					started.Add(1)
				case !errors.Is(err, job.ErrRunning):
					t.Error(err)
				}
			})
		}
		starting.Wait()
		synctest.Wait()
		if ran.Load() != 1 || started.Load() > 1 || m[0].Running()+m[1].Running() != 1 {
			t.Error(ran.Load(), "ran,", started.Load(), "were answered that they did,", m[0].Running()+m[1].Running(), "are counted")
		}
	})
}

func TestCancelledOnAnotherReplica(t *testing.T) {
	replicas(t, func(t *testing.T, _ [2]*link, m [2]*job.Manager) {
		_ = build(t, m[0], "a", time.Minute)
		if err := m[1].Cancel(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if frames := events(t, m[0], "a"); !strings.Contains(frames, `"cancelled"`) || m[0].Running() != 0 {
			t.Error(frames, m[0].Running())
		}
		if err := m[0].Cancel(t.Context(), "a"); !errors.Is(err, job.ErrNone) {
			t.Error(err)
		}
	})
}

// TestReplicaDies: its jobs end for those who watch them elsewhere.
func TestReplicaDies(t *testing.T) {
	replicas(t, func(t *testing.T, links [2]*link, m [2]*job.Manager) {
		_ = build(t, m[0], "a", 10*time.Minute)
		_ = build(t, m[1], "b", 2*time.Minute)
		start := time.Now()
		links[0].cut.Store(true)
		frames := events(t, m[1], "a")
		if !strings.Contains(frames, `"failed","error":"the replica that ran this job is gone, or its end was lost; start it again"`) || time.Since(start) > time.Minute {
			t.Error(time.Since(start), frames)
		}
		if frames := events(t, m[1], "b"); !strings.Contains(frames, `"succeeded"`) {
			t.Error("another replica's job:", frames)
		}
	})
}

// TestBrokerIsAway: no job is given up while the broker is away, and an end
// that could not be published is published when it is back.
func TestBrokerIsAway(t *testing.T) {
	replicas(t, func(t *testing.T, links [2]*link, m [2]*job.Manager) {
		_ = build(t, m[0], "a", time.Minute)
		links[0].cut.Store(true)
		links[1].cut.Store(true)
		if err := build(t, m[0], "b", time.Second); !errors.Is(err, job.ErrAway) || m[0].Running() != 1 {
			t.Error(err, m[0].Running())
		}
		if err := m[1].Cancel(t.Context(), "a"); !errors.Is(err, job.ErrAway) {
			t.Error(err)
		}
		<-time.After(5 * time.Minute)
		links[0].cut.Store(false)
		links[1].cut.Store(false)
		if frames := events(t, m[1], "a"); !strings.Contains(frames, `"succeeded"`) {
			t.Error(frames)
		}
	})
}

// TestSilenceWhileTheBrokerIsAway: a replica that is back first gives the others time to
// be heard of before it ends their jobs.
func TestSilenceWhileTheBrokerIsAway(t *testing.T) {
	replicas(t, func(t *testing.T, links [2]*link, m [2]*job.Manager) {
		m[0].Kinds["silent"] = report(func(context.Context, func(job.Progress)) error { <-time.After(10 * time.Minute); return nil })
		_ = start(t, m[0], "a", "silent", job.Request{})
		links[0].cut.Store(true)
		links[1].cut.Store(true)
		<-time.After(5*time.Minute + time.Second)
		links[1].cut.Store(false)
		<-time.After(15 * time.Second)
		links[0].cut.Store(false)
		if frames := events(t, m[1], "a"); !strings.Contains(frames, `"succeeded"`) {
			t.Error(frames)
		}
	})
}

// unhealthy is a journal to which nothing can be published. It reports that, or does
// not know it yet.
type unhealthy struct {
	job.Journal
	err, syncErr error
}

func (u unhealthy) Err() error                 { return u.err }
func (u unhealthy) Sync(context.Context) error { return u.syncErr }
func (u unhealthy) Publish(context.Context, string, []byte) error {
	return errCut
}

// late is a journal that reports a claim as failed, and has it only then.
type late struct {
	job.Journal
	claims [][]byte
}

func (l *late) Publish(ctx context.Context, name string, data []byte) error {
	if name == "claim" {
		l.claims = append(l.claims, data)
		return pubsub.ErrUnconfirmed
	}
	return l.Journal.Publish(ctx, name, data)
}

// TestLateClaim: a job that was not started, as its client was told, is none for long.
func TestLateClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		journal := &late{Journal: job.NewJournal()}
		m := job.NewManager(zerolog.Nop(), journal)
		defer m.Close()
		if err := build(t, m, "a", time.Minute); !errors.Is(err, job.ErrAway) || m.Running() != 0 {
			t.Fatal(err, m.Running())
		}
		if err := journal.Journal.Publish(t.Context(), "claim", journal.claims[0]); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if frames := events(t, m, "a"); !strings.Contains(frames, `"failed","error":"the service could not start this job; start it again","elapsedMs":0}`) {
			t.Error(frames)
		}
	})
}

// TestUnhealthyBroker: it cannot be known whether a job is none, or none can be started.
func TestUnhealthyBroker(t *testing.T) {
	for name, journal := range map[string]unhealthy{"full": {err: errCut}, "away": {syncErr: errCut}} {
		t.Run(name, func(t *testing.T) {
			journal.Journal = job.NewJournal()
			m := job.NewManager(zerolog.Nop(), journal)
			defer m.Close()
			_, err := m.Watch(t.Context(), "a", "")
			if errors.Is(err, job.ErrNone) {
				err = m.Ready()
			}
			if !errors.Is(err, job.ErrAway) {
				t.Error(err)
			}
			if err := build(t, m, "a", time.Second); !errors.Is(err, job.ErrAway) {
				t.Error(err)
			}
		})
	}
}

// TestMissedEvents: a replica that has missed a job's beginning takes it up in
// the middle, and one that has missed its end finds that it is over.
func TestMissedEvents(t *testing.T) {
	replicas(t, func(t *testing.T, links [2]*link, m [2]*job.Manager) {
		links[1].cut.Store(true)
		_ = build(t, m[0], "late", time.Minute)
		<-time.After(30 * time.Second)
		links[1].cut.Store(false)
		<-time.After(2 * time.Second)
		if err := build(t, m[1], "late", time.Second); !errors.Is(err, job.ErrRunning) {
			t.Error("it is not known:", err)
		}
		if frames := events(t, m[1], "late"); !strings.Contains(frames, `"percent":53`) || !strings.Contains(frames, `"elapsedMs":60000`) {
			t.Error(frames)
		}
		_ = build(t, m[0], "lost", 5*time.Second)
		_ = build(t, m[0], "long", time.Minute)
		links[1].cut.Store(true)
		<-time.After(6 * time.Second)
		links[1].cut.Store(false)
		if frames := events(t, m[1], "lost"); !strings.Contains(frames, `"failed","error":"the replica that ran this job is gone, or its end was lost; start it again"`) {
			t.Error(frames)
		}
		if frames := events(t, m[1], "long"); !strings.Contains(frames, `"succeeded"`) {
			t.Error(frames)
		}
	})
}

// lossy is a journal that reports every other publication of a text as failed,
// although half of those appear.
type lossy struct {
	job.Journal
	n atomic.Int64
}

func (l *lossy) Publish(ctx context.Context, name string, data []byte) error {
	n := l.n.Add(1)
	if name != "tokens" || n%2 == 0 {
		return l.Journal.Publish(ctx, name, data)
	}
	if n%4 == 1 {
		_ = l.Journal.Publish(ctx, name, data)
	}
	return pubsub.ErrUnconfirmed
}

// TestTextOverABrokerThatFails: every piece appears once and in order.
func TestTextOverABrokerThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := job.NewManager(zerolog.Nop(), &lossy{Journal: job.NewJournal()})
		defer m.Close()
		m.Kinds["text"] = write(func(_ context.Context, write func(string) error) error {
			for i := range 1000 {
				if err := write(strconv.Itoa(i) + " "); err != nil {
					return err
				}
				<-time.After(100 * time.Millisecond) // more come while the broker is asked again
			}
			return nil
		})
		watch, err := m.Start(t.Context(), "a", "text", job.Request{})
		if err != nil {
			t.Fatal(err)
		}
		frames := drain(watch)
		for i := range 1000 {
			want := fmt.Sprintf(`"index":%d,"text":"%d "}`, i, i)
			_, rest, found := strings.Cut(frames, want)
			if !found {
				t.Fatalf("no %s in order", want)
			}
			frames = rest
		}
		if strings.Contains(frames, "token\n") || !strings.Contains(frames, `"status":"succeeded"`) || !strings.Contains(frames, `"tokens":1000}`) {
			t.Error(frames)
		}
	})
}

// TestMissedPieces: a replica that has missed pieces of a text says so where they
// are missing.
func TestMissedPieces(t *testing.T) {
	replicas(t, func(t *testing.T, links [2]*link, m [2]*job.Manager) {
		m[0].Kinds["text"] = write(func(_ context.Context, write func(string) error) error {
			for i := range 5 {
				if err := write(strconv.Itoa(i)); err != nil {
					return err
				}
				<-time.After(time.Second)
			}
			return nil
		})
		for i, id := range []string{"beginning", "middle", "end"} {
			links[1].cut.Store(i == 0)
			_ = start(t, m[0], id, "text", job.Request{})
			<-time.After([]time.Duration{0, 500, 2500}[i] * time.Millisecond)
			links[1].cut.Store(true)
			<-time.After([]time.Duration{2500, 2000, 2000}[i] * time.Millisecond)
			links[1].cut.Store(false)
			<-time.After(time.Second) // another message comes
			watch, err := m[1].Watch(t.Context(), id, "")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for line := range strings.Lines(drain(watch)) {
				if line == "event: gap\n" {
					got = append(got, "gap")
				}
				if _, text, ok := strings.Cut(line, `"text":"`); ok {
					got = append(got, text[:1])
				}
			}
			want := []string{"gap 3 4", "0 gap 3 4", "0 1 2 gap"}[i]
			if strings.Join(got, " ") != want {
				t.Errorf("%s: %s, want %s", id, got, want)
			}
		}
	})
}
