// Command bench measures how SSE servers fan messages out: it opens many
// subscribers, publishes through the server's own endpoint and counts what arrives,
// when, and what it cost the server. bench/run builds what it needs and runs it.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// result is one line of the raw data.
type result struct {
	Scenario string             `json:"scenario"`
	Peer     string             `json:"peer"`
	Round    int                `json:"round"`
	Date     string             `json:"date"`
	Error    string             `json:"error,omitempty"`
	Values   map[string]float64 `json:"values"`
}

type options struct {
	work, out       string
	rounds          int
	only, scenarios *regexp.Regexp
	quiet           time.Duration
}

func main() {
	var o options
	f := flag.CommandLine
	f.StringVar(&o.work, "work", "", "directory of the programs")
	f.StringVar(&o.out, "out", os.DevNull, "file to append the results to, a line of JSON each")
	f.IntVar(&o.rounds, "rounds", 1, "rounds; with 1 the phases are half as long")
	f.DurationVar(&o.quiet, "quiet", 10*time.Second, "how long to wait for the machine to be quiet before each measurement")
	only := f.String("only", ".*", "peers, a regular expression")
	names := f.String("scenarios", ".*", "scenarios, a regular expression")
	report := f.String("report", "", "measure nothing; take the results from a file that --out has written")
	pages := f.String("into", "", "pages whose tables are replaced, separated by commas; without it, they are printed")
	flag.Parse()
	o.only, o.scenarios = regexp.MustCompile("^(?:"+*only+")$"), regexp.MustCompile("^(?:"+*names+")$")

	results, err := read(*report)
	if *report == "" && err == nil {
		results, err = measure(o)
	}
	if err == nil {
		err = show(results, *pages)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func show(results []result, pages string) error {
	if pages != "" {
		for page := range strings.SplitSeq(pages, ",") {
			if err := fill(page, results); err != nil {
				return err
			}
		}
		return nil
	}
	fmt.Println(machine(results))
	for _, sc := range scenarios {
		if section := sc.section(results); section != "" {
			fmt.Printf("### %s\n\n%s\n", sc.name, section)
		}
	}
	return nil
}

// measure runs everything, round by round, so that what else the machine does
// meets all of it.
func measure(o options) (results []result, err error) {
	runtime.LockOSThread() // servers are set to end with this thread
	debug.SetGCPercent(-1) // a run allocates little; no collection in the middle
	out, err := os.OpenFile(o.out, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }()
	if err := writeCertificate(o.work); err != nil {
		return nil, err
	}
	lacks := missing(o.work)
	for name, program := range lacks {
		fmt.Fprintf(os.Stderr, "without %s: it needs %s\n", name, program)
	}
	for round := 1; round <= o.rounds; round++ {
		for _, sc := range scenarios {
			if sc.odd && round%2 == 0 || !o.scenarios.MatchString(sc.name) || sc.replicas && lacks["replicas"] != "" {
				continue
			}
			for _, name := range sc.peers {
				if lacks[name] != "" || !o.only.MatchString(name) {
					continue
				}
				r := o.measureOne(sc, name, round)
				results = append(results, r)
				if err := json.NewEncoder(out).Encode(r); err != nil {
					return nil, err
				}
			}
		}
	}
	return results, nil
}

func (o options) measureOne(sc scenario, name string, round int) result {
	waitQuiet(o.quiet)
	begin := time.Now()
	values, err := execute(sc, find(name), o.work, o.rounds == 1)
	runtime.GC()
	r := result{Scenario: sc.name, Peer: name, Round: round, Date: begin.UTC().Format("2 January 2006"), Values: values}
	if err != nil {
		r.Error = err.Error()
	}
	fmt.Fprintf(os.Stderr, "%d %-9s %-13s %4.1f s %s\n", round, sc.name, name, time.Since(begin).Seconds(), r.Error)
	return r
}

// read reads what --out has written.
func read(name string) (results []result, err error) {
	if name == "" {
		return nil, nil
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		var r result
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		results = append(results, r)
	}
	return results, nil
}
