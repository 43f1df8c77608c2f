package check

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// progressInterval is between two updates of the line that says what goes on.
const progressInterval = 250 * time.Millisecond

// showProgress keeps one line on a terminal up to date until stop is called,
// which clears it.
func (s *session) showProgress(w io.Writer) (stop func()) {
	const clearLine = "\r\x1b[K"
	began := time.Now()
	done := make(chan struct{})
	var showing sync.WaitGroup
	showing.Go(func() {
		tick := time.NewTicker(progressInterval)
		defer tick.Stop()
		for {
			_, _ = fmt.Fprint(w, clearLine, s.progress(time.Since(began)))
			select {
			case <-tick.C:
			case <-done:
				_, _ = fmt.Fprint(w, clearLine)
				return
			}
		}
	})
	return func() {
		close(done)
		showing.Wait()
	}
}

// progress says what the check is waiting for, and what has come.
func (s *session) progress(elapsed time.Duration) string {
	main := s.main.now()
	text := fmt.Sprintf("%.0f s: ", elapsed.Seconds())
	select {
	case <-s.over:
		return text + "the last probes end"
	default:
	}
	if main.connections == 0 {
		return text + "waiting for the head"
	}
	text += count(main.total, "event", "events")
	switch {
	case !main.connected:
		return text + ", the stream has ended; coming back"
	case elapsed <= s.options.For:
		text += fmt.Sprintf(", listening for %s", seconds(s.options.For))
	default:
		text += fmt.Sprintf(", waiting for the silence to end, for up to %s", seconds(maxSilence))
	}
	return text + fmt.Sprintf("; last byte %.0f s ago", time.Since(main.last).Seconds())
}
