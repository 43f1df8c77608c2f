package sse

import (
	"bytes"
	"encoding/json"
	"slices"

	"example.com/sse-demo/sse/internal/stream"
)

// FrameData returns the data of a frame that [Event.Append] made, without
// copying if it is one line.
func FrameData(frame []byte) []byte {
	var lines [][]byte
	for line := range bytes.Lines(frame) {
		if value, ok := bytes.CutPrefix(line, []byte("data: ")); ok {
			lines = append(lines, bytes.TrimSuffix(value, lf))
		}
	}
	if len(lines) == 1 {
		return slices.Clip(lines[0]) // appending to it must copy
	}
	return bytes.Join(lines, lf)
}

// MustFrame is the frame of an event whose id and name cannot be invalid, such as
// numbers and constants. It panics if they are.
func MustFrame(e Event) []byte {
	const fields = 32 // room for the names of the fields and the line ends
	frame, err := e.Append(make([]byte, 0, fields+len(e.ID)+len(e.Name)+len(e.Data)))
	if err != nil {
		panic(err)
	}
	return frame
}

// AppendGap appends the event that reports a loss between two ids. After is the id of
// the last event that the client has, as it gave it (see [LastEventID]). Oldest is the id
// of the first event that follows in this stream, the oldest that is still kept; if none
// is, it is "", which becomes null. The gap has no id, so the client's last id stays.
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
func IsGap(frame []byte) bool { return stream.IsGap(frame) }
