package routes_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"example.com/sse-demo/routes/job"
	"example.com/sse-demo/sse/ssetest"
)

type jobEvent struct {
	ID, Stage, Message, Status, Error string
	Percent, ElapsedMs, Tokens        int
}

func jobEventOf(t *testing.T, e ssetest.Event) (data jobEvent) {
	t.Helper()
	if err := json.Unmarshal([]byte(e.Data), &data); err != nil {
		t.Fatal(err)
	}
	return data
}

// watch reads a progress stream to its end; it returns all events and the id of
// the last.
func (s *stream) watch() (events []jobEvent, last string) {
	s.h.Helper()
	percent := 0
	for {
		e := s.next()
		data := jobEventOf(s.h.T, e)
		events, last = append(events, data), e.ID
		if e.Name == "done" {
			s.ends()
			return events, last
		}
		if e.Name != "progress" || data.Percent < percent || data.Percent > 100 {
			s.h.Fatalf("%+v after %d percent", e, percent)
		}
		percent = data.Percent
	}
}

func TestJob(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		status, header, body := h.answer("POST", "/jobs", `{"id":"build-42","durationMs":12000}`, jsonType)
		if status != 202 || header.Get("Location") != "/stream/progress?id=build-42" || strings.TrimSpace(body) != `{"id":"build-42"}` {
			t.Error(status, header, body)
		}
		h.problem(409, "POST", "/jobs", `{"id":"build-42"}`, jsonType)
		early := h.stream("/stream/progress?id=build-42")
		opened := make(chan *stream, 1)
		time.AfterFunc(6*time.Second+time.Millisecond, func() { opened <- h.stream("/stream/progress?id=build-42") })
		events, last := early.watch()
		if done := events[len(events)-1]; done != (jobEvent{ID: "build-42", Status: "succeeded", ElapsedMs: 12000}) {
			t.Errorf("%+v", done)
		}
		if full := events[len(events)-2]; full.Percent != 100 || full.Stage == "" || full.ElapsedMs != 12000 {
			t.Errorf("%+v", full)
		}
		late := <-opened
		if first := jobEventOf(t, late.next()); first.Percent != 50 {
			t.Errorf("the late one begins with %+v", first)
		}
		if events, _ := late.watch(); len(events) < 40 {
			t.Errorf("the late one misses the rest: %d events", len(events))
		}
		if status, _, body := h.answer("GET", "/stream/progress?id=build-42", "", "Last-Event-ID: "+last); status != 204 || body != "" {
			t.Error("after the end:", status, body)
		}
		if events, _ := h.stream("/stream/progress?id=build-42").watch(); len(events) != 1 {
			t.Errorf("a client that comes after the end sees %+v", events)
		}
		if status, _, _ := h.answer("POST", "/jobs", `{"id":"build-42","durationMs":500}`, jsonType); status != 202 {
			t.Error("an ended job cannot be started again:", status)
		}
	})
}

func TestJobIsKeptForAMinute(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		h.answer("POST", "/jobs", `{"id":"a","durationMs":500}`, jsonType)
		_, last := h.stream("/stream/progress?id=a").watch()
		<-time.After(59 * time.Second)
		if status, _, _ := h.answer("GET", "/stream/progress?id=a", "", "Last-Event-ID: "+last); status != 204 {
			t.Error("within a minute:", status)
		}
		<-time.After(2 * time.Second)
		s := h.stream("/stream/progress?id=a")
		defer s.close()
		if e := jobEventOf(t, s.next()); e.Percent != 0 || e.Status != "" {
			t.Errorf("after a minute: %+v", e)
		}
	})
}

func TestJobResume(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		s := h.stream("/stream/progress?id=a") // watching starts it
		var ids []string
		for range 10 {
			ids = append(ids, s.next().ID)
		}
		s.close()
		<-time.After(20 * time.Second) // it goes on without a watcher, and ends
		s = h.stream("/stream/progress?id=a", "Last-Event-ID: "+ids[4])
		for _, want := range ids[5:] {
			if e := s.next(); e.ID != want {
				t.Fatalf("%+v, want %s", e, want)
			}
		}
		if events, _ := s.watch(); events[len(events)-1].Status != "succeeded" {
			t.Errorf("%+v", events[len(events)-1])
		}
		h.answer("POST", "/jobs", `{"id":"b"}`, jsonType)
		s = h.stream("/stream/progress?id=b", "Last-Event-ID: "+ids[4]) // another job's
		defer s.close()
		if e := s.next(); e.Name != "gap" || !strings.Contains(e.Data, ids[4]) {
			t.Errorf("%+v", e)
		}
		if e := jobEventOf(t, s.next()); e.ID != "b" || e.Percent != 0 {
			t.Errorf("%+v", e)
		}
		<-time.After(time.Millisecond)
		h.answer("POST", "/jobs", `{"id":"c","durationMs":500}`, jsonType)
		_, end := h.stream("/stream/progress?id=c").watch()
		s = h.stream("/stream/progress?id=b", "Last-Event-ID: "+end) // b goes on, although c has ended
		defer s.close()
		if e := s.next(); e.Name != "gap" {
			t.Errorf("%+v", e)
		}
		if status, _, _ := h.answer("DELETE", "/jobs/%62", ""); status != 204 {
			t.Errorf("DELETE of b: %d", status)
		}
	})
}

func TestCancel(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		h.problem(404, "DELETE", "/jobs/a", "")
		s := h.stream("/stream/progress?id=a")
		answered := make(chan struct{})
		time.AfterFunc(3*time.Second, func() {
			defer close(answered)
			if status, _, body := h.answer("DELETE", "/jobs/a", ""); status != 204 || body != "" {
				t.Error(status, body)
			}
		})
		events, last := s.watch()
		<-answered
		if done := events[len(events)-1]; done.Status != "cancelled" || done.ElapsedMs != 3000 {
			t.Errorf("%+v", done)
		}
		h.problem(404, "DELETE", "/jobs/a", "")
		if status, _, _ := h.answer("GET", "/stream/progress?id=a", "", "Last-Event-ID: "+last); status != 204 {
			t.Error("after the end:", status)
		}
	})
}

func TestDefaultsOfJobs(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		seen := map[string]bool{}
		for _, request := range [][]string{{""}, {"{}", jsonType}, {`{"id":null}`, jsonType}} {
			status, header, body := h.answer("POST", "/jobs", request[0], request[1:]...)
			var reply struct{ ID string }
			if err := json.Unmarshal([]byte(body), &reply); err != nil || status != 202 || seen[reply.ID] {
				t.Fatal(status, body)
			}
			seen[reply.ID] = true
			events, _ := h.stream(header.Get("Location")).watch()
			if events[len(events)-1].ElapsedMs != 12_000 {
				t.Errorf("%+v", events[len(events)-1])
			}
		}
	})
}

func TestTooManyJobs(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		for i := range 256 {
			if status, _, body := h.answer("POST", "/jobs", fmt.Sprintf(`{"id":"%d"}`, i), jsonType); status != 202 {
				t.Fatal(status, body)
			}
		}
		_, header, _ := h.answer("POST", "/jobs", `{"id":"x"}`, jsonType)
		if header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		h.problem(503, "POST", "/jobs", `{"id":"x"}`, jsonType)
		h.problem(409, "POST", "/jobs", `{"id":"0"}`, jsonType)
		h.problem(503, "GET", "/stream/progress?id=x", "")
		s := h.stream("/stream/progress?id=x", "Accept: text/event-stream")
		if e := s.next(); e.Name != "busy" {
			t.Errorf("%+v", e)
		}
		s.ends()
		h.stream("/stream/progress?id=7").close() // one that runs can be watched
		if status, _, _ := h.answer("DELETE", "/jobs/7", ""); status != 204 {
			t.Error(status)
		}
		synctest.Wait()
		if status, _, body := h.answer("POST", "/jobs", `{"id":"x"}`, jsonType); status != 202 {
			t.Error(status, body)
		}
	})
}

// TestOtherSitesStartNothing: a page of another site may watch a job, but a GET by
// which it would start one is refused.
func TestOtherSitesStartNothing(t *testing.T) {
	config := options()
	config.CORSOrigins = []string{"https://good.test"}
	refused := [][]string{
		{"Sec-Fetch-Site: cross-site"}, // an image
		{"Sec-Fetch-Site: same-site"},
		{"Sec-Fetch-Site: cross-site", "Origin: https://evil.test"},
		{"Sec-Fetch-Site: same-site", "Origin: http://other.sse.test"},
		{"Sec-Fetch-Site: cross-site", "Origin: null"},
		{"Sec-Fetch-Site: cross-site", "Last-Event-ID: x"},
		{"Sec-Fetch-Site: cross-site", "Accept: text/event-stream"},
		{"Sec-Fetch-Site: future"},
		{"Origin: https://evil.test"}, // of an older browser
	}
	allowed := [][]string{
		{}, // no browser
		{"Sec-Fetch-Site: none"},
		{"Sec-Fetch-Site: same-origin"},
		{"Origin: http://sse.test"},
		{"Sec-Fetch-Site: cross-site", "Origin: https://good.test"},
		{"Sec-Fetch-Site: same-site", "Origin: https://good.test"},
	}
	bubble(t, config, func(h *harness) {
		for _, headers := range refused {
			h.problem(403, "GET", "/stream/progress?id=a", "", headers...)
			if status, _, _ := h.answer("HEAD", "/stream/progress?id=a", "", headers...); status != 403 {
				t.Error("HEAD:", status, headers)
			}
		}
		if h.hasJob("a") {
			t.Error("a job was started")
		}
		for i, headers := range allowed {
			id := fmt.Sprint("b", i)
			status, header, _ := h.answer("HEAD", "/stream/progress?id="+id, "", headers...)
			if status != 200 || h.hasJob(id) || header.Get("Last-Event-ID") != "" {
				t.Error("HEAD:", status, headers, h.hasJob(id), header)
			}
			h.stream("/stream/progress?id="+id, headers...).close()
			if !h.hasJob(id) {
				t.Error("it was not started:", headers)
			}
		}
		for _, headers := range refused {
			h.stream("/stream/progress?id=b0", headers...).close()
			status, header, _ := h.answer("HEAD", "/stream/progress?id=b0", "", headers...)
			if status != 200 || header.Get("Last-Event-ID") == "" {
				t.Error("HEAD of a job that runs:", status, headers, header)
			}
		}
	})
}

// overtaken is a journal at which another client is faster: it starts the job before the
// first claim of it, and the job is over and forgotten before Publish returns.
type overtaken struct {
	job.Journal
	begin, end func()
	claims     atomic.Int64
}

func (o *overtaken) Publish(ctx context.Context, name string, data []byte) error {
	isFirst := name == "claim" && o.claims.Add(1) == 1
	if isFirst {
		o.begin()
		defer o.end()
	}
	return o.Journal.Publish(ctx, name, data)
}

// TestOvertaken: a client that starts a job by watching it finds that another client has
// started it, and then that it is over and no longer kept. It starts the next one.
func TestOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		journal := &overtaken{Journal: job.NewJournal()}
		config := options()
		config.Jobs = job.NewManager(zerolog.Nop(), journal)
		h := start(t, config)
		journal.begin = func() {
			watch, err := h.jobs.Start(h.Context(), "a", job.BuildKind, job.Request{Duration: time.Minute})
			if err != nil {
				t.Error(err)
				return
			}
			watch.Close()
		}
		journal.end = func() {
			if err := h.jobs.Cancel(h.Context(), "a"); err != nil {
				t.Error(err)
			}
			<-time.After(job.Keep + time.Millisecond)
		}
		events, _ := h.stream("/stream/progress?id=a").watch()
		if done := events[len(events)-1]; done.Status != "succeeded" || done.ElapsedMs != 12000 || journal.claims.Load() != 3 {
			t.Errorf("%+v after %d claims", done, journal.claims.Load())
		}
		h.stop()
		<-time.After(time.Second)
	})
}
