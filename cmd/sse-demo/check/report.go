package check

import (
	"encoding/json"
	"fmt"
	"io"
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
	URL     string   `json:"url"`
	Results []Result `json:"results"`
}

const (
	isOK   = "ok"
	isWarn = "warn"
	isFail = "fail"
	isSkip = "skip"
)

func ok(format string, args ...any) Result {
	return Result{Result: isOK, Seen: fmt.Sprintf(format, args...)}
}

func skip(format string, args ...any) Result {
	return Result{Result: isSkip, Seen: fmt.Sprintf(format, args...)}
}

func warn(seen, means, fix string) Result {
	return Result{Result: isWarn, Seen: seen, Means: means, Fix: fix}
}

func fail(seen, means, fix string) Result {
	return Result{Result: isFail, Seen: seen, Means: means, Fix: fix}
}

// checks are all checks, in the order of the report. The trap is the section of
// docs/traps.md that a finding refers to.
var checks = []struct {
	name, trap string
	judge      func(o *observation) Result
}{
	{"head", "status", judgeHead},
	{"media-type", "media-type", judgeMediaType},
	{"first-byte", "buffering-proxies", judgeFirstByte},
	{"delivery", "buffering-proxies", judgeDelivery},
	{"heartbeat", "idle-timeouts", judgeHeartbeat},
	{"format", "format", judgeFormat},
	{"retry", "reconnect-delay", judgeRetry},
	{"ids", "ids", judgeIDs},
	{"resume", "resume", judgeResume},
	{"unknown-id", "unknown-ids", judgeUnknownID},
	{"compression", "compression", judgeCompression},
	{"cors", "cors", judgeCORS},
	{"http2", "six-connections", judgeHTTP2},
	{"methods", "methods", judgeMethods},
}

// judge makes the report of what was seen. If there was no stream, nothing but
// its head is judged.
func (o *observation) judge() Report {
	report := Report{URL: o.options.URL}
	for i, c := range checks {
		r := skip("there is no stream to check")
		if i == 0 || report.Results[0].Result != isFail {
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

func (r Report) failed() bool {
	for _, result := range r.Results {
		if result.Result == isFail {
			return true
		}
	}
	return false
}

func (r Report) writeJSON(w io.Writer) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	return out.Encode(r)
}

// colors of the results, on a terminal.
var colors = map[string]string{isOK: "32", isWarn: "33", isFail: "1;31", isSkip: "2"}

func (r Report) writeText(w io.Writer, colored bool) error {
	for _, result := range r.Results {
		word := fmt.Sprintf("%-4s", result.Result)
		if colored {
			word = "\x1b[" + colors[result.Result] + "m" + word + "\x1b[0m"
		}
		text := result.Seen
		if result.Means != "" {
			text += ". " + result.Means + " " + result.Fix
		}
		if _, err := fmt.Fprintf(w, "%s  %-11s  %s\n", word, result.Check, text); err != nil {
			return err
		}
	}
	return nil
}
