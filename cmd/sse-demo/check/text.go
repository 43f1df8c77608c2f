package check

import (
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// quote quotes and shortens what comes from elsewhere, so that it is one short
// line, and no terminal takes it for a command.
func quote(s string) string {
	if len(s) > maxQuoted {
		cut := maxQuoted
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return strconv.Quote(s)
}

// seconds writes d as a person would.
func seconds(d time.Duration) string {
	tenths := d.Round(100 * time.Millisecond)
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case tenths < 10*time.Second && tenths%time.Second != 0:
		return fmt.Sprintf("%.1f s", tenths.Seconds())
	default:
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
}

// count writes a number of things.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
