package check

import (
	"testing"
	"time"
)

func TestBursts(t *testing.T) {
	for _, tt := range []struct {
		name  string
		sizes []int // of what comes at once; the first when the client connects
		want  bool
	}{
		{"one by one", []int{1, 1, 1, 1, 1, 1}, false},
		{"from the beginning", []int{3, 3, 3}, true},
		{"from the beginning, two", []int{3, 3}, false},
		{"after a smaller one", []int{2, 3, 3}, true},
		{"after one event", []int{1, 3, 3, 3}, true},
		{"a replay, then two bursts", []int{10, 3, 3}, false},
		{"a replay, then three bursts", []int{10, 3, 3, 3}, true},
		{"a replay, then one by one", []int{10, 1, 1, 1, 1, 1}, false},
		{"now and then", []int{1, 2, 1, 2, 1, 2}, false},
	} {
		var events []arrival
		for i, size := range tt.sizes {
			for range size {
				events = append(events, arrival{at: time.Unix(int64(i), 0), asked: time.Unix(0, 0)})
			}
		}
		if bursts, largest := burstsOf(events); (bursts > 0) != tt.want {
			t.Errorf("%s: %d up to %d", tt.name, bursts, largest)
		}
	}
}
