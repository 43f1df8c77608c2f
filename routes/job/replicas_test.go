package job_test

import (
	"context"
	"errors"
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

// link is a replica's way to the broker that all share. While it is cut, it is
// as if the replica were dead, or alone.
type link struct {
	pubsub.Broker
	cut atomic.Bool
}

var errCut = errors.New("cut")

func (l *link) Publish(ctx context.Context, channel, name string, data []byte) (pubsub.Receipt, error) {
	if l.cut.Load() {
		return pubsub.Receipt{}, errCut
	}
	return l.Broker.Publish(ctx, channel, name, data)
}

func (l *link) Observe(channel string, see func(pubsub.ID, string, []byte)) {
	l.Broker.Observe(channel, func(id pubsub.ID, name string, data []byte) {
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

// replicas runs test with two managers that share a broker.
func replicas(t *testing.T, test func(t *testing.T, links [2]*link, managers [2]*job.Manager)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		broker := pubsub.NewMemory(1, 1)
		var links [2]*link
		var managers [2]*job.Manager
		for i := range managers {
			links[i] = &link{Broker: broker}
			managers[i] = job.NewManager(zerolog.Nop(), links[i])
			defer managers[i].Close()
		}
		test(t, links, managers)
	})
}

func TestWatchedOnAnotherReplica(t *testing.T) {
	replicas(t, func(t *testing.T, _ [2]*link, m [2]*job.Manager) {
		if err := m[0].Start(t.Context(), "a", job.Demo(time.Second)); err != nil {
			t.Fatal(err)
		}
		if err := m[1].Start(t.Context(), "a", job.Demo(time.Second)); !errors.Is(err, job.ErrRunning) {
			t.Error("it can be started twice:", err)
		}
		here, there := events(t, m[0], "a"), events(t, m[1], "a")
		if here != there || !strings.Contains(here, `"status":"succeeded"`) {
			t.Errorf("%s\n%s", here, there)
		}
		if m[0].Running() != 0 || m[1].Running() != 0 {
			t.Error(m[0].Running(), m[1].Running())
		}
		id := here[strings.LastIndex(here, "id: ")+4:]
		id, _, _ = strings.Cut(id, "\n")
		if _, err := m[1].Watch(t.Context(), "a", id, nil); !errors.Is(err, job.ErrOver) {
			t.Error("who has seen the end is not told so elsewhere:", err)
		}
	})
}

// TestFirstClaimWins: many start the same job everywhere, and one does.
func TestFirstClaimWins(t *testing.T) {
	replicas(t, func(t *testing.T, _ [2]*link, m [2]*job.Manager) {
		var ran atomic.Int64
		work := func(context.Context, func(job.Progress)) error { ran.Add(1); <-time.After(time.Second); return nil }
		var starting sync.WaitGroup
		var started atomic.Int64
		for n := range 50 {
			starting.Go(func() {
				switch err := m[n%2].Start(t.Context(), "a", work); {
				case err == nil:
					started.Add(1)
				case !errors.Is(err, job.ErrRunning):
					t.Error(err)
				}
			})
			starting.Go(func() {
				watch, err := m[n%2].Watch(t.Context(), "a", "", work)
				if err != nil {
					t.Error(err)
					return
				}
				watch.Close()
			})
		}
		starting.Wait()
		synctest.Wait()
		if ran.Load() != 1 || started.Load() > 1 || m[0].Running()+m[1].Running() != 1 {
			t.Error(ran.Load(), "ran,", started.Load(), "were told so,", m[0].Running()+m[1].Running(), "places are taken")
		}
	})
}

func TestCancelledOnAnotherReplica(t *testing.T) {
	replicas(t, func(t *testing.T, _ [2]*link, m [2]*job.Manager) {
		_ = m[0].Start(t.Context(), "a", job.Demo(time.Minute))
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
		_ = m[0].Start(t.Context(), "a", job.Demo(10*time.Minute))
		_ = m[1].Start(t.Context(), "b", job.Demo(2*time.Minute))
		start := time.Now()
		links[0].cut.Store(true)
		frames := events(t, m[1], "a")
		if !strings.Contains(frames, `"failed","error":"the replica that ran it is gone"`) || time.Since(start) > time.Minute {
			t.Error(time.Since(start), frames)
		}
		if frames := events(t, m[1], "b"); !strings.Contains(frames, `"succeeded"`) {
			t.Error("another replica's job:", frames)
		}
	})
}

// TestBrokerIsAway: nobody is given up while nobody can be heard, and an end
// that could not be told is told when the broker is back.
func TestBrokerIsAway(t *testing.T) {
	replicas(t, func(t *testing.T, links [2]*link, m [2]*job.Manager) {
		_ = m[0].Start(t.Context(), "a", job.Demo(time.Minute))
		links[0].cut.Store(true)
		links[1].cut.Store(true)
		if err := m[0].Start(t.Context(), "b", nil); !errors.Is(err, job.ErrAway) || m[0].Running() != 1 {
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

// TestMissedEvents: a replica that has missed a job's beginning takes it up in
// the middle, and one that has missed its end hears that it is over.
func TestMissedEvents(t *testing.T) {
	replicas(t, func(t *testing.T, links [2]*link, m [2]*job.Manager) {
		links[1].cut.Store(true)
		_ = m[0].Start(t.Context(), "late", job.Demo(time.Minute))
		<-time.After(30 * time.Second)
		links[1].cut.Store(false)
		<-time.After(2 * time.Second)
		if err := m[1].Start(t.Context(), "late", nil); !errors.Is(err, job.ErrRunning) {
			t.Error("it is not known:", err)
		}
		if frames := events(t, m[1], "late"); !strings.Contains(frames, `"percent":53`) || !strings.Contains(frames, `"elapsedMs":60000`) {
			t.Error(frames)
		}
		_ = m[0].Start(t.Context(), "lost", job.Demo(5*time.Second))
		_ = m[0].Start(t.Context(), "long", job.Demo(time.Minute))
		links[1].cut.Store(true)
		<-time.After(6 * time.Second)
		links[1].cut.Store(false)
		if frames := events(t, m[1], "lost"); !strings.Contains(frames, `"failed","error":"its end was not heard of"`) {
			t.Error(frames)
		}
		if frames := events(t, m[1], "long"); !strings.Contains(frames, `"succeeded"`) {
			t.Error(frames)
		}
	})
}
