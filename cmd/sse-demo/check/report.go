package check

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Result is what one check has found.
type Result struct {
	Check  string `json:"check"`
	Result string `json:"result"` // ok, warn, fail or skip
	Seen   string `json:"seen"`
	Means  string `json:"means"` // empty for ok and skip, as is Fix
	Fix    string `json:"fix"`
}

// A Report is what --json prints.
type Report struct {
	URL     string   `json:"url"` // without a password
	Results []Result `json:"results"`
}

const (
	isOK   = "ok"
	isWarn = "warn"
	isFail = "fail"
	isSkip = "skip"
)

func ok(format string, args ...any) Result {
	return Result{"", isOK, fmt.Sprintf(format, args...), "", ""}
}

func skip(format string, args ...any) Result {
	return Result{"", isSkip, fmt.Sprintf(format, args...), "", ""}
}

func warn(seen, means, fix string) Result { return Result{"", isWarn, seen, means, fix} }
func fail(seen, means, fix string) Result { return Result{"", isFail, seen, means, fix} }

// checks are all checks, in the order of the report. The trap is the section of
// docs/traps.md that a finding refers to.
var checks = []struct {
	name, trap string
	judge      func(o *observation) Result
	getOnly    bool
}{
	{"head", "status", judgeHead, false},
	{"media-type", "media-type", judgeMediaType, false},
	{"first-byte", "buffering-proxies", judgeFirstByte, false},
	{"delivery", "buffering-proxies", judgeDelivery, false},
	{"heartbeat", "idle-timeouts", judgeHeartbeat, false},
	{"format", "format", judgeFormat, false},
	{"retry", "reconnect-delay", judgeRetry, true},
	{"ids", "ids", judgeIDs, true},
	{"resume", "resume", judgeResume, true},
	{"unknown-id", "unknown-ids", judgeUnknownID, true},
	{"compression", "compression", judgeCompression, false},
	{"cors", "cors", judgeCORS, false},
	{"http2", "six-connections", judgeHTTP2, false},
	{"methods", "methods", judgeMethods, true},
}

// judge makes the report. If head fails, there is nothing more to judge.
func (o *observation) judge() Report {
	report := Report{URL: o.options.URL}
	if _, isSet := o.client.url.User.Password(); isSet {
		report.URL = o.client.url.Redacted()
	}
	for i, c := range checks {
		r := skip("there is no stream to check")
		switch {
		case i > 0 && report.Results[0].Result == isFail:
		case o.posts() && c.getOnly:
			r = skip("not for a stream that answers a %s", o.client.method)
		default:
			r = c.judge(o)
		}
		r.Check = c.name
		if r.Fix != "" {
			r.Fix += " See docs/traps.md#" + c.trap + "."
		}
		report.Results = append(report.Results, r)
	}
	return report
}

// has reports whether one of the checks has this result.
func (r Report) has(result string) bool {
	return slices.ContainsFunc(r.Results, func(one Result) bool { return one.Result == result })
}

func (r Report) write(w io.Writer, asJSON bool) error {
	if asJSON {
		out := json.NewEncoder(w)
		out.SetEscapeHTML(false)
		return out.Encode(r)
	}
	for _, result := range r.Results {
		text := result.Seen
		if result.Means != "" {
			text += ". " + result.Means + " " + result.Fix
		}
		if _, err := fmt.Fprintf(w, "%-4s  %-11s  %s\n", result.Result, result.Check, text); err != nil {
			return err
		}
	}
	return nil
}

// showProgress keeps one line on a terminal up to date until ctx ends. It is short: a
// line that wraps cannot be cleared.
func (o *observation) showProgress(ctx context.Context, w io.Writer) {
	const interval, clearLine = 250 * time.Millisecond, "\r\x1b[K"
	for began := time.Now(); pause(ctx, interval); {
		s, elapsed := o.stream.now(), time.Since(began)
		silence := min(elapsed, time.Since(s.last)) // also before there is a head
		_, _ = fmt.Fprintf(w, "%s%.0f s: %s, silent for %.0f s", clearLine, elapsed.Seconds(), count(s.total, "event", "events"), silence.Seconds())
	}
	_, _ = fmt.Fprint(w, clearLine)
}

// quote quotes and shortens what comes from elsewhere, so that it is one short
// line, and no terminal takes it for a command.
func quote(s string) string {
	if len(s) > maxQuoted {
		s = strings.ToValidUTF8(s[:maxQuoted], "") + "…"
	}
	return strconv.Quote(s)
}

// seconds writes d as a person would.
func seconds(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%v s", d.Round(100*time.Millisecond).Seconds())
}

// count writes a number of things.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
