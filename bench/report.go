package main

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

const reference = "floor" // ratios are taken to this peer

// section is what was measured in a scenario, as Markdown: what happens, the table,
// and what went wrong. It is empty if the scenario was not run.
func (sc scenario) section(results []result) string {
	results = slices.DeleteFunc(slices.Clone(results), func(r result) bool { return r.Scenario != sc.name })
	if len(results) == 0 {
		return ""
	}
	last := results[len(results)-1]
	rounds := map[int]bool{}
	for _, r := range results {
		rounds[r.Round] = true
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n| server |", wrap(fmt.Sprintf("`%s`: %s Rounds: %d, %s.", sc.name, sc.text, len(rounds), last.Date)))
	for _, c := range sc.columns {
		fmt.Fprintf(&b, " %s |", c.head)
	}
	fmt.Fprintf(&b, "\n| --- |%s\n", strings.Repeat(" --- |", len(sc.columns)))
	for _, peer := range sc.peers {
		if row := sc.row(results, peer); row != "" {
			fmt.Fprintf(&b, "| %s | %s |\n", peer, row)
		}
	}
	if notes := notes(results); len(notes) > 0 {
		fmt.Fprintf(&b, "\n%s\n", wrap(strings.Join(notes, " ")))
	}
	return b.String()
}

func (sc scenario) row(results []result, peer string) string {
	cells := make([]string, len(sc.columns))
	for i, c := range sc.columns {
		cells[i] = cell(results, peer, c)
	}
	if strings.Join(cells, "") == "" {
		return ""
	}
	return strings.Join(cells, " | ")
}

// notes are sentences about what should not happen, each once.
func notes(results []result) (notes []string) {
	note := func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); !slices.Contains(notes, text) {
			notes = append(notes, text)
		}
	}
	for _, r := range results {
		for _, bad := range []struct{ value, text string }{
			{"lost", "lost messages."}, {"wrong", "sent messages twice or out of order."}, {"cut", "cut clients off."},
		} {
			for _, part := range []string{"", "alone ", "2 ", "4 ", "8 "} {
				if r.Values[part+bad.value] > 0 {
					note("%s %s", r.Peer, bad.text)
				}
			}
		}
		if r.Error != "" {
			note("%s failed: %s.", r.Peer, r.Error)
		}
	}
	return notes
}

// cell formats a column of a peer; it is empty if nothing was measured.
func cell(results []result, peer string, c column) string {
	values, floor := map[int]float64{}, map[int]float64{} // by round
	for _, r := range results {
		value, ok := r.Values[c.value]
		if ok && r.Peer == peer {
			values[r.Round] = value
		}
		if ok && r.Peer == reference {
			floor[r.Round] = value
		}
	}
	var list []float64
	for round, value := range values {
		if c.kind == toFloor {
			value /= floor[round]
		}
		if !math.IsInf(value, 0) && !math.IsNaN(value) {
			list = append(list, value)
		}
	}
	switch {
	case len(list) == 0:
		return ""
	case c.kind == median:
		return fmt.Sprintf(c.format, medianOf(list))
	case c.kind == worst:
		return fmt.Sprintf(c.format, slices.Max(list))
	}
	return medianAndRange(list, c.format)
}

func medianOf(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	n := len(sorted)
	return (sorted[n/2] + sorted[(n-1)/2]) / 2
}

// medianAndRange leaves the range out if it is not more than rounding.
func medianAndRange(list []float64, format string) string {
	low, high := fmt.Sprintf(format, slices.Min(list)), fmt.Sprintf(format, slices.Max(list))
	if low == high {
		return low
	}
	return fmt.Sprintf(format+" (%s–%s)", medianOf(list), low, high)
}

// machine describes the machine of the results, if that is this one, and how much
// other work disturbed them.
func machine(results []result) string {
	cpus, _ := os.ReadFile("/proc/cpuinfo")
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	model := regexp.MustCompile(`(?m)^model name\s*: (.*)$`).FindSubmatch(cpus)
	text := fmt.Sprintf("%d cores", strings.Count(string(cpus), "processor\t:"))
	if model != nil {
		text += fmt.Sprintf(" (%s)", model[1])
	}
	var others []float64
	for _, r := range results {
		if value, ok := r.Values["others"]; ok {
			others = append(others, value)
		}
	}
	text += fmt.Sprintf(", Linux %s, %s.", strings.TrimSpace(string(kernel)), strings.Replace(runtime.Version(), "go", "Go ", 1))
	if len(others) > 0 {
		text += fmt.Sprintf(" Other work on the servers' core: %s %%.", medianAndRange(others, "%.0f"))
	}
	return wrap(text) + "\n"
}

// fill replaces the sections of a page that were measured: what is between
// <!-- bench: NAME --> and <!-- end -->.
func fill(page string, results []result) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	places := regexp.MustCompile(`(?s)(<!-- bench: ([a-z0-9-]+) -->\n).*?(<!-- end -->)`)
	filled := places.ReplaceAllStringFunc(string(text), func(place string) string {
		match := places.FindStringSubmatch(place)
		section := sections(results)[match[2]]
		if section == "" {
			return place
		}
		return match[1] + "\n" + section + "\n" + match[3]
	})
	return os.WriteFile(page, []byte(filled), 0o644)
}

// sections are all that can be filled in, by name.
func sections(results []result) map[string]string {
	all := map[string]string{"machine": machine(results)}
	for _, sc := range scenarios {
		all[sc.name] = sc.section(results)
	}
	return all
}

// wrap breaks a paragraph into lines of 120 characters.
func wrap(paragraph string) string {
	var b strings.Builder
	length := 0
	for i, word := range strings.Fields(paragraph) {
		switch {
		case i == 0:
		case length+len(word) >= 120:
			b.WriteByte('\n')
			length = 0
		default:
			b.WriteByte(' ')
			length++
		}
		b.WriteString(word)
		length += len(word)
	}
	return b.String()
}
