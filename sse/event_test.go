package sse_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/ssetest"
)

func TestAppend(t *testing.T) {
	for _, tt := range []struct {
		event sse.Event
		want  string
	}{
		{sse.Event{}, "data: \n\n"},
		{sse.Event{Data: []byte("hi")}, "data: hi\n\n"},
		{sse.Event{ID: "7", Name: "tick", Data: []byte("hi")}, "id: 7\nevent: tick\ndata: hi\n\n"},
		{sse.Event{Data: []byte(" lead")}, "data:  lead\n\n"},
		{sse.Event{Data: []byte("a\nb")}, "data: a\ndata: b\n\n"},
		{sse.Event{Data: []byte("a\rb")}, "data: a\ndata: b\n\n"},
		{sse.Event{Data: []byte("a\r\nb")}, "data: a\ndata: b\n\n"},
		{sse.Event{Data: []byte("a\n\rb")}, "data: a\ndata: \ndata: b\n\n"},
		{sse.Event{Data: []byte("a\r\r\nb\n")}, "data: a\ndata: \ndata: b\ndata: \n\n"},
		{sse.Event{Data: []byte("\n")}, "data: \ndata: \n\n"},
		{sse.Event{Data: []byte("id: 1\n\nevent: x")}, "data: id: 1\ndata: \ndata: event: x\n\n"},
	} {
		got, err := tt.event.Append([]byte("before"))
		if err != nil || string(got) != "before"+tt.want {
			t.Errorf("%+v: %q, %v, want %q", tt.event, got, err, tt.want)
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	for _, e := range []sse.Event{
		{ID: "a\nb"},
		{ID: "a\rb"},
		{ID: "a\x00b"},
		{ID: "\xff"},
		{Name: "a\nb"},
		{Name: "a\rb"},
		{Name: "\xff"},
	} {
		got, err := e.Append([]byte("before"))
		if !errors.Is(err, sse.ErrInvalidField) || string(got) != "before" {
			t.Errorf("%+v: %q, %v", e, got, err)
		}
	}
}

func TestAppendCommentAndRetry(t *testing.T) {
	if got := sse.AppendComment(nil, "a\nb\r\nc"); string(got) != ": a\n: b\n: c\n" {
		t.Errorf("comment %q", got)
	}
	for d, want := range map[time.Duration]string{
		3 * time.Second:          "retry: 3000\n",
		1500 * time.Microsecond:  "retry: 1\n",
		-3 * time.Second:         "retry: 0\n",
		24 * 365 * time.Hour * 9: "retry: 283824000000\n",
	} {
		if got := sse.AppendRetry(nil, d); string(got) != want {
			t.Errorf("%v: %q", d, got)
		}
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	e := sse.Event{ID: "1763683200000-0", Name: "tick", Data: []byte("one\ntwo\r\nthree")}
	buf := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() { buf, _ = e.Append(buf[:0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestGap(t *testing.T) {
	for _, tt := range []struct{ after, oldest, want string }{
		{"1-0", "5-0", "event: gap\ndata: {\"after\":\"1-0\",\"oldest\":\"5-0\"}\n\n"},
		{"rub\"bish\n\xff", "", "event: gap\ndata: {\"after\":\"rub\\\"bish\\n\\ufffd\",\"oldest\":null}\n\n"},
	} {
		got := sse.AppendGap(nil, tt.after, tt.oldest)
		if string(got) != tt.want || !sse.IsGap(got) {
			t.Errorf("%q", got)
		}
	}
	own, err := sse.Event{ID: "1", Name: "gap"}.Append(nil)
	if err != nil || sse.IsGap(own) {
		t.Errorf("a publisher's event named gap passes for one: %q, %v", own, err)
	}
}

// TestAppendUTF8 has the examples of the Unicode Standard, table 3-8 and after.
func TestAppendUTF8(t *testing.T) {
	for in, want := range map[string]string{
		"":                                     "",
		"plain é 漢 😀 \ufffd":                   "plain é 漢 😀 \ufffd",
		"\xff\xfe":                             "\ufffd\ufffd",
		"a\xe2\x82z":                           "a\ufffdz",
		"\xe2\x82":                             "\ufffd",
		"\xf0\x9f\x98":                         "\ufffd",
		"\xf0\x9f\x98\xff":                     "\ufffd\ufffd",
		"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82A":    "\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffdA",
		"\xed\xa0\x80\xed\xbf\xbf\xed\xafA":    "\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffdA",
		"\xf4\x91\x92\x93\xffA\x80\xbfB":       "\ufffd\ufffd\ufffd\ufffd\ufffdA\ufffd\ufffdB",
		"\xe1\x80\xe2\xf0\x91\x92\xf1\xbfA":    "\ufffd\ufffd\ufffd\ufffdA",
		"\x80" + strings.Repeat("ok", 3) + "é": "\ufffdokokoké",
	} {
		if got := string(sse.AppendUTF8([]byte(">"), []byte(in))); got != ">"+want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// clientSees is what a browser makes of data: LF for every line end, and U+FFFD
// for what is not UTF-8.
func clientSees(data []byte) string {
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	text = strings.ReplaceAll(text, "\r", "\n")
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		lines = append(lines, string(sse.AppendUTF8(nil, []byte(line))))
	}
	return strings.Join(lines, "\n")
}

func FuzzAppend(f *testing.F) {
	f.Add("1", "tick", []byte("hello"))
	f.Add("", "", []byte("\ufeffa\r\n\rb\n\n"))
	f.Add("\x00", "a:b", []byte("data: x\n\nid: 1\n"))
	f.Add(" 1", " x", []byte("\xe2\x82\n\xff"))
	f.Fuzz(func(t *testing.T, id, name string, data []byte) {
		frame, err := sse.Event{ID: id, Name: name, Data: data}.Append(nil)
		valid := !strings.ContainsAny(id, "\r\n\x00") && !strings.ContainsAny(name, "\r\n") &&
			utf8.ValidString(id) && utf8.ValidString(name)
		if valid != (err == nil) {
			t.Fatalf("id %q, name %q: error %v", id, name, err)
		}
		if err != nil {
			return
		}
		again := sse.Event{Data: sse.FrameData(frame)}
		if same, err := again.Append(nil); err != nil || !bytes.HasSuffix(frame, same) {
			t.Fatalf("FrameData of %q: %q", frame, again.Data)
		}
		if name == "" {
			name = "message"
		}
		want := ssetest.Event{ID: id, Name: name, Data: clientSees(data)}
		r := ssetest.NewReader(bytes.NewReader(slices.Concat(frame, frame)))
		for range 2 {
			if got, err := r.Next(); err != nil || got != want {
				t.Fatalf("%q: %+v, %v, want %+v", frame, got, err, want)
			}
		}
		if len(r.Faults) > 0 && utf8.Valid(data) {
			t.Fatalf("%q: %v", frame, r.Faults)
		}
	})
}

// BenchmarkAppend compares the encoder with what it cannot do without: copying
// the same bytes, and searching them for line ends.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{100, 1000, 64 << 10} {
		data := bytes.Repeat([]byte("x"), size)
		buf := make([]byte, 0, size+100)
		id, name := []byte("1763683200000-0"), []byte("tick")
		bench := func(kind string, e sse.Event, fields ...[]byte) {
			b.Run(fmt.Sprintf("%s-%d/encode", kind, size), func(b *testing.B) {
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					buf, _ = e.Append(buf[:0])
				}
			})
			b.Run(fmt.Sprintf("%s-%d/copy-and-scan", kind, size), func(b *testing.B) {
				b.SetBytes(int64(size))
				for b.Loop() {
					buf = buf[:0]
					for _, field := range fields {
						if bytes.IndexByte(field, '\n') < 0 && bytes.IndexByte(field, '\r') < 0 {
							buf = append(buf, field...)
						}
					}
				}
			})
		}
		bench("data", sse.Event{Data: data}, data)
		bench("event", sse.Event{ID: string(id), Name: string(name), Data: data}, id, name, data)
	}
}
