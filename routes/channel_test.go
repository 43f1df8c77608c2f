package routes_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

func TestPublishAndSubscribe(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		one := h.stream("/stream/channel?name=news")
		both := h.stream("/stream/channel?name=news&name=chat&name=news")
		defer one.close()
		defer both.close()
		post := func(body string) string {
			status, _, reply := h.answer("POST", "/publish", body, jsonType)
			if status != 200 {
				t.Fatal(status, reply)
			}
			return reply
		}
		reply := post(`{"channel":"news","payload":{"msg" : "hello"},"event":"greeting"}`)
		e := one.expect(`greeting {"msg":"hello"}`)
		both.expect(`greeting {"msg":"hello"}`)
		if want := fmt.Sprintf(`{"channel":"news","id":%q,"delivered":2}`+"\n", e.ID); reply != want {
			t.Errorf("%s, want %s", reply, want)
		}
		if reply := post(`{"channel":"nobody","payload":1}`); !strings.Contains(reply, `"delivered":0`) {
			t.Error(reply)
		}
		post(`{"channel":"chat","payload":"hi"}`)
		both.expect(`"hi"`)
		if got := h.health(); got.Channels["news"] != 2 || got.Channels["chat"] != 1 || len(got.Channels) != 2 || got.Broker != "memory" {
			t.Errorf("%+v", got)
		}
	})
}

// TestPayloadIsItsExactValue: compacted, and nothing else.
func TestPayloadIsItsExactValue(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		s := h.stream("/stream/channel?name=a")
		defer s.close()
		for payload, want := range map[string]string{
			`null`: `null`, `false`: `false`, `0`: `0`, `""`: `""`, `[]`: `[]`,
			`1.0`: `1.0`, `1e400`: `1e400`, `12345678901234567890123`: `12345678901234567890123`, `-0`: `-0`,
			"{\n \"b\": 1,\r\n\t\"a\" : [ 1 , 2 ]\n}": `{"b":1,"a":[1,2]}`,
			`{"a":1,"a":2}`:            `{"a":1,"a":2}`,
			`"<b>&</b>"`:               `"<b>&</b>"`,
			`"two\nlines\r\n\u000aéé"`: `"two\nlines\r\n\u000aéé"`,
			"\"\u2028 \ufeff 😀\"":      "\"\u2028 \ufeff 😀\"",
			`"\ud800"`:                 `"\ud800"`,
		} {
			h.publish("a", payload)
			if e := s.next(); e.Data != want {
				t.Errorf("%s: %s, want %s", payload, e.Data, want)
			}
		}
		if len(s.Faults) > 0 {
			t.Error(s.Faults)
		}
	})
}

func TestChannelReplayAndResume(t *testing.T) {
	config := options()
	config.Broker = history{events: 5}
	bubble(t, config, func(h *harness) {
		var ids []string
		for i := range 8 {
			ids = append(ids, h.publish("a", fmt.Sprint(i)))
		}
		kept := []string{"3", "4", "5", "6", "7"}
		gap := func(after, oldest string) string { return fmt.Sprintf(`gap {"after":"%s","oldest":%s}`, after, oldest) }
		for query, want := range map[string][]string{
			"name=a&replay=2":                       {"6", "7"},
			"name=a&replay=1000":                    kept,
			"name=a&replay=1&lastEventId=" + ids[5]: {"6", "7"},
			"name=a&lastEventId=" + ids[2]:          kept,
			"name=a&lastEventId=" + ids[1]:          append([]string{gap(ids[1], `"`+ids[3]+`"`)}, kept...),
			"name=a&lastEventId=no%0Aid":            append([]string{gap(`no\nid`, `"`+ids[3]+`"`)}, kept...),
			"name=b&name=a&lastEventId=" + ids[5]:   {"6", "7"}, // b was never used
			"name=b&lastEventId=rubbish":            {gap("rubbish", "null")},
			"name=b&lastEventId=%zz":                {gap("%zz", "null")},
			"lastEventId=1;2&name=b":                {gap("1;2", "null")},
			"last%45ventId=%zz&n%61me=b":            {gap("%zz", "null")}, // names may be encoded, too
		} {
			s := h.stream("/stream/channel?" + query)
			s.expect(want...)
			s.close()
		}
		s := h.stream("/stream/channel?name=a&lastEventId=rubbish", "Last-Event-ID: "+ids[6])
		defer s.close()
		s.expect("7") // the header wins
		quiet := h.stream("/stream/channel?name=a&replay=0&lastEventId=")
		defer quiet.close()
		h.publish("a", "8")
		quiet.expect("8")
		s.expect("8")
	})
}

// TestReconnectsLoseNothing has a client that leaves after every few events,
// hundreds of times, while publishers never pause.
func TestReconnectsLoseNothing(t *testing.T) {
	const publishers, each, perVisit = 3, 400, 3
	config := options()
	config.Broker = history{events: publishers * each}
	bubble(t, config, func(h *harness) {
		first := h.publish("a", `"first"`)
		var wg sync.WaitGroup
		for p := range publishers {
			wg.Go(func() {
				for i := range each {
					h.publish([]string{"a", "b"}[i%2], fmt.Sprintf(`"%d %d"`, p, i))
				}
			})
		}
		next := [publishers]int{}
		id := first
		for range publishers * each / perVisit {
			s := h.stream("/stream/channel?name=a&name=b", "Last-Event-ID: "+id)
			for range perVisit {
				e := s.next()
				var p, i int
				if _, err := fmt.Sscanf(e.Data, `"%d %d"`, &p, &i); err != nil || i != next[p] {
					t.Fatalf("%+v, want event %d", e, next)
				}
				next[p]++
				id = e.ID
			}
			s.close()
		}
		wg.Wait()
		if next != [publishers]int{each, each, each} {
			t.Error(next)
		}
	})
}
