package job

import (
	"context"
	"fmt"
	"time"
)

// The demonstration's work reports every hundredth of its duration, but not more
// often than this.
const demoStep = 100 * time.Millisecond

// Demo returns work that takes the given time and does nothing else. Put a
// function of your own in its place.
func Demo(duration time.Duration) Work {
	stages := []string{"checkout", "build", "test", "package", "deploy"}
	return func(ctx context.Context, report func(Progress)) error {
		start := time.Now()
		tick := time.NewTicker(max(duration/100, demoStep))
		defer tick.Stop()
		end := time.NewTimer(duration)
		defer end.Stop()
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-end.C:
				report(Progress{Percent: 100, Stage: stages[len(stages)-1], Message: "all done"})
				return nil
			case <-tick.C:
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
}
