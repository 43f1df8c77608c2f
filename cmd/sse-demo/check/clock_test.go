package check

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// TestOwnClock tries an endpoint that counts for each client from 1, or on from its
// last id, at a pace that begins with the connection.
func TestOwnClock(t *testing.T) {
	count := func(interval time.Duration, each int) http.HandlerFunc {
		var connections atomic.Int64
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
			w.Header().Set("Cache-Control", "no-cache")
			w.WriteHeader(http.StatusOK)
			if r.Method == http.MethodHead {
				return
			}
			n := 0
			_, _ = fmt.Sscan(r.Header.Get("Last-Event-ID"), &n)
			_, _ = fmt.Fprintf(w, "retry: %d\n", 1000+connections.Add(1))
			for {
				for range each {
					n++
					_, _ = fmt.Fprintf(w, "id: %d\ndata: %d\n\n", n, n)
				}
				_ = http.NewResponseController(w).Flush()
				if !pause(r.Context(), interval) {
					return
				}
			}
		}
	}
	for _, tt := range []struct {
		interval, listen time.Duration
		each             int
		want             string
	}{
		{50 * time.Millisecond, 2 * time.Second, 1, ""},
		{100 * time.Millisecond, 5 * time.Second, 1, ""},
		{time.Second, 10 * time.Second, 1, ""},
		{time.Second, 5 * time.Second, 3, "delivery=warn"},
		{4 * time.Second, 20 * time.Second, 1, ""},
	} {
		for _, against := range []*string{nil, new("http://demo.example/direct")} {
			t.Run(fmt.Sprint(tt.interval, tt.each, against != nil), func(t *testing.T) {
				report, _ := try(t, count(tt.interval, tt.each), Options{For: tt.listen, Compare: against})
				compare(t, report, tt.want)
			})
		}
	}
}
