package sse

import (
	"bytes"
	"encoding/json"
)

// gapHead begins every gap frame, and no other: events that a publisher names
// "gap" carry an id, which is encoded first.
const gapHead = "event: gap\n"

// AppendGap appends the event that reports a loss: the events after the id that
// the client gave, up to the oldest that is still kept, are gone. An empty oldest
// becomes null. The event has no id, so the client's last id stays that of the
// last event it really saw.
func AppendGap(dst []byte, after, oldest string) []byte {
	gap := struct {
		After  string  `json:"after"`
		Oldest *string `json:"oldest"`
	}{After: after}
	if oldest != "" {
		gap.Oldest = &oldest
	}
	data, err := json.Marshal(gap)
	if err != nil {
		panic(err) // two strings always marshal
	}
	return append(dst, MustFrame(Event{Name: "gap", Data: data})...)
}

// IsGap reports whether frame was made by [AppendGap].
func IsGap(frame []byte) bool {
	return bytes.HasPrefix(frame, []byte(gapHead))
}
