package job_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/routes/job"
)

// ahead is a journal whose ids are ahead of the clock of this process, as they are
// after the clock was set back; or behind it.
type ahead struct {
	job.Journal
	by time.Duration
}

func (a ahead) Observe(see func(pubsub.ID, string, []byte)) {
	a.Journal.Observe(func(id pubsub.ID, name string, data []byte) {
		see(pubsub.ID{uint64(time.UnixMilli(int64(id[0])).Add(a.by).UnixMilli()), id[1]}, name, data)
	})
}

// TestClocks: whatever the clocks say, a client that has seen the end of a job is told
// so, a job's time is right, and it is kept for a minute after its end.
func TestClocks(t *testing.T) {
	for _, by := range []time.Duration{0, time.Hour, -time.Hour} {
		t.Run(fmt.Sprint(by), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := job.NewManager(zerolog.Nop(), ahead{job.NewJournal(), by})
				defer m.Close()
				if err := build(t, m, "a", 3*time.Second); err != nil {
					t.Fatal(err)
				}
				frames := events(t, m, "a")
				if !strings.Contains(frames, `"status":"succeeded","elapsedMs":3000}`) || !strings.Contains(frames, `"percent":50,"stage":"test","message":"test, stage 3 of 5","elapsedMs":1500}`) {
					t.Error(frames)
				}
				_, end, _ := strings.Cut(frames[strings.LastIndex(frames, "id: "):], "id: ")
				end, _, _ = strings.Cut(end, "\n")
				seen := func(want error) {
					t.Helper()
					if _, err := m.Watch(t.Context(), "a", end); !errors.Is(err, want) {
						t.Errorf("%v, want %v", err, want)
					}
				}
				seen(job.ErrSeen)
				<-time.After(job.Keep - time.Millisecond)
				seen(job.ErrSeen)
				if w, err := m.Watch(t.Context(), "a", ""); err != nil {
					t.Error("within a minute:", err)
				} else {
					w.Close()
				}
				<-time.After(2 * time.Millisecond)
				seen(job.ErrSeen)
				if _, err := m.Watch(t.Context(), "a", ""); !errors.Is(err, job.ErrNone) {
					t.Error("after a minute:", err)
				}
			})
		})
	}
}
