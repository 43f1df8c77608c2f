package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
)

const reference = "floor" // ratios are taken to the median of this server

type key struct{ name, scenario string }

// report prints Markdown tables of medians (min-max) from result files.
func report(files []string) error {
	runs := map[key]map[int]result{}
	var names []string
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		for sc := bufio.NewScanner(f); sc.Scan(); {
			var r result
			if err := json.Unmarshal(sc.Bytes(), &r); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			k := key{r.Name, r.Scenario}
			if runs[k] == nil {
				runs[k] = map[int]result{}
			}
			runs[k][r.Rep] = r // a later line replaces an earlier one
			if !slices.Contains(names, r.Name) {
				names = append(names, r.Name)
			}
		}
	}

	// A column formats one server's repetitions of a scenario.
	cpuPer := func(r result) float64 { return r.CPUPer }
	toFloor := func(scenario string, get func(result) float64) func(map[int]result) string {
		return func(rs map[int]result) string {
			floor := median(values(runs[key{reference, scenario}], get))
			return fmt.Sprintf("%.2f", median(values(rs, get))/floor)
		}
	}
	field := func(format string, get func(result) float64) func(map[int]result) string {
		return func(rs map[int]result) string { return spread(values(rs, get), format) }
	}
	worst := func(get func(result) float64) func(map[int]result) string {
		return func(rs map[int]result) string {
			x := 0.0
			for _, r := range rs {
				x = max(x, get(r))
			}
			return fmt.Sprintf("%.0f", x)
		}
	}
	errors := func(rs map[int]result) string {
		var e []string
		for _, r := range rs {
			if r.Error != "" {
				e = append(e, r.Error)
			}
		}
		return strings.Join(e, "; ")
	}
	type column struct {
		head string
		cell func(map[int]result) string
	}
	ms := func(get func(result) float64) func(result) float64 {
		return func(r result) float64 { return get(r) / 1e3 }
	}
	stream := func(sc string) []column {
		return []column{
			{"server CPU, µs per delivery", field("%.2f", cpuPer)},
			{"× floor", toFloor(sc, cpuPer)},
			{"deliveries/s", field("%.0f", func(r result) float64 { return r.PerSec })},
			{"per read", field("%.1f", func(r result) float64 {
				if r.PerRead == 0 { // not recorded in the first rounds
					return math.NaN()
				}
				return r.PerRead
			})},
			{"p50 ms", field("%.1f", ms(func(r result) float64 { return r.P50 }))},
			{"p99 ms", field("%.1f", ms(func(r result) float64 { return r.P99 }))},
			{"p99.9 ms", field("%.1f", ms(func(r result) float64 { return r.P999 }))},
			{"lost %", field("%.2f", lostPercent)},
			{"dup", worst(func(r result) float64 { return float64(r.Dup) })},
			{"swapped", worst(func(r result) float64 { return float64(r.Swapped) })},
			{"orders", worst(func(r result) float64 { return float64(r.Orders) })},
			{"cut off", worst(func(r result) float64 { return float64(r.Dropped) })},
			{"RSS after, MB", field("%.0f", func(r result) float64 { return float64(r.RSSAfter) / 1e6 })},
			{"failed", errors},
		}
	}
	idle := []column{
		{"RSS per connection, bytes", field("%.0f", func(r result) float64 { return r.RSSPerSub })},
		{"RSS before, MB", field("%.1f", func(r result) float64 { return float64(r.RSSBase) / 1e6 })},
		{"failed", errors},
	}
	type table struct {
		scenario string
		columns  []column
	}
	tables := []table{
		{"idle1000", idle},
		{"idle8000", idle},
		{"paced", stream("paced")},
		{"burst", stream("burst")},
		{"churn", []column{
			{"cycles/s", field("%.0f", func(r result) float64 { return r.CyclesPer })},
			{"server CPU, µs per cycle", field("%.1f", func(r result) float64 { return r.CPUCycle })},
			{"× floor", toFloor("churn", func(r result) float64 { return r.CPUCycle })},
			{"left open after 2 s", worst(func(r result) float64 { return float64(r.LeakQuiet) })},
			{"and after 5 messages", worst(func(r result) float64 { return float64(r.LeakPoked) })},
			{"failed", errors},
		}},
	}
	for _, n := range []string{"publish1", "publish8"} {
		tables = append(tables, table{n, []column{
			{"publishes/s", field("%.0f", func(r result) float64 { return r.PubPerSec })},
			{"server CPU, µs", field("%.1f", func(r result) float64 { return r.CPUPub })},
			{"p50 µs", field("%.0f", func(r result) float64 { return r.PubP50 })},
			{"p99 µs", field("%.0f", func(r result) float64 { return r.PubP99 })},
			{"failed", errors},
		}})
	}
	short := func(name, scenario, format string, get func(result) float64) string {
		x := values(runs[key{name, scenario}], get)
		if len(x) == 0 {
			return "-"
		}
		return fmt.Sprintf(format, median(x))
	}
	fmt.Print("### Summary (medians)\n\n| server | paced µs | × floor | paced p99 ms | burst µs | × floor | burst deliveries/s | ",
		"burst p99 ms | burst lost % | RSS per idle connection (8,000) | churn µs |\n|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, name := range names {
		fmt.Println("|", name,
			"|", short(name, "paced", "%.1f", cpuPer), "|", toFloor("paced", cpuPer)(runs[key{name, "paced"}]),
			"|", short(name, "paced", "%.0f", ms(func(r result) float64 { return r.P99 })),
			"|", short(name, "burst", "%.2f", cpuPer), "|", toFloor("burst", cpuPer)(runs[key{name, "burst"}]),
			"|", short(name, "burst", "%.0f", func(r result) float64 { return r.PerSec }),
			"|", short(name, "burst", "%.0f", ms(func(r result) float64 { return r.P99 })),
			"|", short(name, "burst", "%.1f", lostPercent),
			"|", short(name, "idle8000", "%.0f", func(r result) float64 { return r.RSSPerSub }),
			"|", short(name, "churn", "%.0f", func(r result) float64 { return r.CPUCycle }), "|")
	}
	fmt.Println()
	for _, t := range tables {
		fmt.Printf("### %s\n\n| server |", t.scenario)
		for _, c := range t.columns {
			fmt.Printf(" %s |", c.head)
		}
		fmt.Print(" runs |\n|---|", strings.Repeat("---|", len(t.columns)+1), "\n")
		for _, name := range names {
			rs := runs[key{name, t.scenario}]
			if len(rs) == 0 {
				continue
			}
			fmt.Printf("| %s |", name)
			for _, c := range t.columns {
				fmt.Printf(" %s |", c.cell(rs))
			}
			fmt.Printf(" %d |\n", len(rs))
		}
		fmt.Println()
	}
	var gen, cal, other []float64
	for k, rs := range runs {
		for _, r := range rs {
			cal = append(cal, r.CalUs)
			other = append(other, 100*r.OtherCPU)
			if k.scenario == "paced" {
				gen = append(gen, r.GenPer)
			}
		}
	}
	fmt.Printf("Generator in paced: %s µs per delivery. Calibration: %s µs. Other work on the server's core: %s %%.\n",
		spread(gen, "%.1f"), spread(cal, "%.1f"), spread(other, "%.0f"))
	return nil
}

func lostPercent(r result) float64 { return 100 * float64(r.Lost) / float64(max(r.Expected, 1)) }

func values(rs map[int]result, get func(result) float64) (x []float64) {
	for _, r := range rs {
		if v := get(r); r.Error == "" && !math.IsNaN(v) {
			x = append(x, v)
		}
	}
	slices.Sort(x)
	return x
}

func median(sorted []float64) float64 {
	n := len(sorted)
	if n == 0 {
		return math.NaN()
	}
	return (sorted[n/2] + sorted[(n-1)/2]) / 2
}

// spread is the median, with the range where it is more than rounding.
func spread(x []float64, format string) string {
	if len(x) == 0 {
		return "-"
	}
	slices.Sort(x)
	lo, hi := fmt.Sprintf(format, x[0]), fmt.Sprintf(format, x[len(x)-1])
	if lo == hi {
		return lo
	}
	return fmt.Sprintf(format+" (%s–%s)", median(x), lo, hi)
}
