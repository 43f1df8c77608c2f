package web_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestLogValues: the panel shows the values as they stand in the line.
func TestLogValues(t *testing.T) {
	t.Parallel()
	s := startService(t)
	p := startBrowser(t).open(s)
	p.until(state("log", "open"))
	const shown = `document.querySelector(".lines li:last-child")?.textContent`
	for line, want := range map[string]string{
		`{"a":0.004,"b":12345678901234567890,"c":1e400,"d":-0,"e":1.0}`:                    ` a=0.004 b=12345678901234567890 c=1e400 d=-0 e=1.0`,
		`{"level":"warn","message":"m","o":{"x":[1, 2.50]},"n":null,"t":true}`:             `warn m o={"x":[1, 2.50]} n=null t=true`,
		`{"level":30,"time":1795231763,"message":{"text":"\"}, :"},"message2":"q\"{:,\\"}`: `30 {"text":"\"}, :"} time=1795231763 message2=q"{:,\`,
		`{"a":1,"a":2,"":"empty"," b ":[]}`:                                                ` a=1 a=2 =empty  b =[]`,
		`{"time":"5","level":"odd","msg":"x"}`:                                             `odd  time=5 msg=x`,
		`{}`:                                                                               `{}`,
		`[1,2.0]`:                                                                          `[1,2.0]`,
		`{"open":`:                                                                         `{"open":`,
		"{\"u\":\"a\u202eb\u2066c\"}":                                                      ` u=a\u202eb\u2066c`,
		"plain \u200f\u061c text":                                                          `plain \u200f\u061c text`,
	} {
		s.writeLog(line)
		p.until(fmt.Sprintf(`%s === %s`, shown, quote(want)))
	}
	p.until(text("log", ".wire pre") + `.includes("a\\u202eb\\u2066c") && !/[\u202a-\u202e\u2066-\u2069\u200e\u200f]/.test(` + text("log", ".wire pre") + `)`)

	var many strings.Builder
	for i := range 4_000 {
		_, _ = fmt.Fprintf(&many, `,"key%d":%d`, i, i)
	}
	for range 50 {
		s.writeLog(`{"message":"many"` + many.String() + `}`)
	}
	s.writeLog("the end")
	p.until(shown + ` === "the end"`)
	if n := p.eval(`Math.max(...[...document.querySelectorAll(".lines li")].map((e) => e.querySelectorAll("*").length))`); len(n) > 3 {
		t.Errorf("a line has %s elements", n)
	}
	p.eval(`document.querySelector(".lines .clipped button").click()`)
	p.until(`document.querySelector(".lines").textContent.includes("key3999=3999")`)
}

// quote is a text as a literal of JavaScript.
func quote(text string) string {
	literal, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(literal)
}

// TestEventIsShownAsItIs in the channel: no number goes through JavaScript's, what
// turns the direction of writing is an escape, and no channel is claimed.
func TestEventIsShownAsItIs(t *testing.T) {
	t.Parallel()
	s := startService(t)
	p := startBrowser(t).open(s)
	p.until(state("channel", "open"))
	for payload, want := range map[string]string{
		`{"n":12345678901234567890,"f":1.0}`: `{"n":12345678901234567890,"f":1.0}`,
		"\"user\u202egpj.exe\"":              `"user\u202egpj.exe"`,
	} {
		p.publish("news", payload)
		p.until(fmt.Sprintf(`document.querySelector(".events li:last-child .data")?.textContent === %s`, quote(want)))
	}
	if got := p.eval(`document.querySelector(".events").textContent`); strings.Contains(got, "chat") || strings.Contains(got, "news") {
		t.Errorf("an event is said to be of a channel: %s", got)
	}
	p.until(text("channel", ".wire pre") + `.includes("user\\u202egpj.exe")`)

	// A field that is corrected is not called wrong any more.
	p.publish("no spaces", "1")
	p.until(in("channel", `.publish [name="channel"]`) + `.ariaInvalid === "true"`)
	p.fill(`form[data-action="publish"]`, "channel", "news")
	p.eval(in("channel", `.publish [name="channel"]`) + `.dispatchEvent(new Event("input", {bubbles: true}))`)
	p.until(in("channel", `.publish [name="channel"]`) + `.ariaInvalid === "false" && ` + text("channel", `.publish [data-for="channel"]`) + ` === ""`)
}
