package check

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestCompare(t *testing.T) {
	var private atomic.Int64
	for _, tt := range []struct {
		name   string
		change func(e *endpoint) // of the way through the proxy
		both   func(e *endpoint)
		want   string
	}{
		{"no proxy", func(*endpoint) {}, func(*endpoint) {}, ""},
		{"half a second late", func(e *endpoint) { e.delay = 500 * time.Millisecond }, func(*endpoint) {}, ""},
		{"two seconds late", func(e *endpoint) { e.delay = 2 * time.Second }, func(*endpoint) {}, "delivery=fail"},
		{"in bursts", func(e *endpoint) { e.burst = 4 }, func(*endpoint) {}, "delivery=fail"},
		{"in bursts, without ids", func(e *endpoint) { e.burst = 4 }, func(e *endpoint) {
			e.frame = func(int) string { return "data: x\n\n" }
		}, "delivery=fail ids=warn resume=skip"},
		{
			"not at all", func(e *endpoint) { e.events, e.heartbeat = 1, time.Second }, func(*endpoint) {},
			"delivery=fail ids=skip resume=skip",
		},
		{"events of each client's own", func(*endpoint) {}, func(e *endpoint) {
			e.frame = func(int) string { return fmt.Sprintf("data: %d\n\n", private.Add(1)) }
		}, "ids=warn resume=skip"},
		{"in bursts, by itself", func(*endpoint) {}, func(e *endpoint) { e.burst = 3 }, "delivery=warn"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proxied, direct := goodEndpoint(), goodEndpoint()
			tt.change(proxied)
			tt.both(proxied)
			tt.both(direct)
			hosts := byHost{"demo.example": proxied, "direct.example": direct}
			report, took := try(t, hosts, Options{Compare: new("http://direct.example/events")})
			compare(t, report, tt.want)
			if took > 25*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// TestSlowCompare: the answer without the proxy is waited for, however short the
// listening is.
func TestSlowCompare(t *testing.T) {
	type before = func(w http.ResponseWriter, r *http.Request) bool
	after := func(d time.Duration) before {
		return func(_ http.ResponseWriter, r *http.Request) bool { return !pause(r.Context(), d) }
	}
	for _, tt := range []struct {
		name       string
		direct     before
		says, fail string // of delivery, of the error
	}{
		{"after 6 s", after(6 * time.Second), "without the proxy: none is over 1 s later", ""},
		{"never", after(time.Hour), "", "--compare: no answer in 10 s"},
		{"404 after 6 s", func(w http.ResponseWriter, r *http.Request) bool {
			pause(r.Context(), 6*time.Second)
			http.NotFound(w, r)
			return true
		}, "", "--compare: 404"},
		{"no events", func(http.ResponseWriter, *http.Request) bool { return true }, "and 0 without the proxy", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			direct := goodEndpoint()
			direct.before = tt.direct
			hosts := byHost{"demo.example": goodEndpoint(), "direct.example": direct}
			report, took, err := tryIfItCan(t, hosts, Options{Compare: new("http://direct.example/events"), For: 5 * time.Second})
			if err != nil || tt.fail != "" {
				if err == nil || tt.fail == "" || !strings.Contains(err.Error(), tt.fail) {
					t.Errorf("%v, want %q", err, tt.fail)
				}
				return
			}
			if seen := report.Results[3].Seen; report.Results[3].Result != isOK || !strings.Contains(seen, tt.says) {
				t.Error(seen)
			}
			if took > 15*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}
