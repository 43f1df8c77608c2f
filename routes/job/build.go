package job

import (
	"context"
	"fmt"
	"time"
)

const (
	defaultDuration = 12 * time.Second
	// buildStep is the shortest time between two reports. Otherwise there is one
	// for each hundredth of the duration.
	buildStep = 100 * time.Millisecond
)

// build is a demonstration: it takes the given time and does nothing else.
func build(ctx context.Context, r Request, report func(Progress)) error {
	duration := r.Duration
	if duration <= 0 {
		duration = defaultDuration
	}
	stages := []string{"checkout", "build", "test", "package", "deploy"}
	report(Progress{Stage: "started", Message: "the job has started"})
	start := time.Now()
	step := time.NewTicker(max(duration/100, buildStep))
	defer step.Stop()
	end := time.NewTimer(duration)
	defer end.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end.C:
			report(Progress{Percent: 100, Stage: stages[len(stages)-1], Message: "all done"})
			return nil
		case <-step.C:
			percent := int(time.Since(start) * 100 / duration)
			if percent >= 100 {
				continue // the end is due
			}
			stage := percent * len(stages) / 100
			report(Progress{
				Percent: percent,
				Stage:   stages[stage],
				Message: fmt.Sprintf("%s, stage %d of %d", stages[stage], stage+1, len(stages)),
			})
		}
	}
}
