package sse_test

import (
	"strings"
	"testing"

	"example.com/sse-demo/sse"
)

func TestReaderHasID(t *testing.T) {
	r := sse.NewReader(strings.NewReader("data: a\n\nid: 1\ndata: b\n\ndata: c\n\nid: 1\ndata: d\n\nid\ndata: e\n\n"))
	for _, want := range []struct {
		id  string
		own bool
	}{{"", false}, {"1", true}, {"1", false}, {"1", true}, {"", false}} {
		e, err := r.Next()
		if err != nil || e.ID != want.id || r.HasID() != want.own {
			t.Errorf("%+v, own id: %v, %v; want %+v", e, r.HasID(), err, want)
		}
	}
}
