package pubsub

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"example.com/sse-demo/sse"
)

// A model is the plainest broker there is: all events that there ever were, in order. A
// replica is held against it.
type model struct {
	t      *testing.T
	rand   *rand.Rand
	broker *Replica
	events []modelEvent
	last   ID
	lost   ID // events before it may be missing
	subs   []*modelSub

	keepsAll bool // the limits are never reached
}

type modelEvent struct {
	id      ID
	channel string
	data    string
}

// A modelSub is a subscription, and what it has been told: every event of its channels
// up to position, or a gap in its place.
type modelSub struct {
	Subscription
	channels map[string]bool
	position ID
	replays  bool // it begins with what is kept, which need not be all
}

var modelChannels = []string{"a", "b", "c", "d", "e", "a-much-longer-name-of-a-channel"}

// TestModel runs random operations on brokers with small limits: what a subscriber is
// given are the events of its channels, each once and in order, and if one is missing, a
// gap comes first. Without a loss there is no gap.
func TestModel(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := &model{t: t, rand: r, last: ID{uint64(time.Now().UnixMilli()), 0}}
		m.broker = NewReplica(1+r.IntN(6), r.IntN(12_000), time.Minute, nil)
		if m.keepsAll = r.IntN(4) == 0; m.keepsAll {
			m.broker = NewReplica(1<<10, 1<<20, time.Minute, nil)
		}
		m.broker.LoseBefore(ID{m.last[0], m.last[1] + 1}) // not Next: the clock may have moved
		for range 300 {
			m.step()
		}
		for _, s := range m.subs {
			m.read(s)
			s.Close()
		}
		m.subs = nil
		m.checkAccounts()
		if n := m.broker.followed.Len(); n > 0 {
			t.Errorf("%d channels are followed after all have left", n)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func (m *model) step() {
	switch k := m.rand.IntN(20); {
	case k < 9:
		m.publish()
	case k == 9 && m.rand.IntN(4) == 0:
		m.last = ID{m.last[0] + 1, 5}
		m.lost = m.last
		m.broker.LoseBefore(m.last)
	case k < 13:
		m.subscribe()
	case k < 15 && len(m.subs) > 0:
		i := m.rand.IntN(len(m.subs))
		m.subs[i].Close()
		m.subs = append(m.subs[:i], m.subs[i+1:]...)
	case len(m.subs) > 0:
		m.read(m.subs[m.rand.IntN(len(m.subs))])
	}
	if m.rand.IntN(10) == 0 {
		m.checkAccounts()
	}
}

func (m *model) publish() {
	if m.last[1]++; m.rand.IntN(3) == 0 {
		m.last = ID{m.last[0] + 1, 0}
	}
	e := modelEvent{m.last, modelChannels[m.rand.IntN(len(modelChannels))], fmt.Sprint(len(m.events))}
	if m.rand.IntN(10) == 0 {
		e.data += strings.Repeat("x", m.rand.IntN(3000))
	}
	want := 0
	for _, s := range m.subs {
		if s.channels[e.channel] {
			want++
		}
	}
	if got, err := m.broker.Append(e.id, e.channel, "", []byte(e.data)); err != nil || got != want {
		m.t.Errorf("%d subscriptions were reached, want %d, %v", got, want, err)
	}
	m.events = append(m.events, e)
}

func (m *model) subscribe() {
	s := &modelSub{channels: map[string]bool{}, position: m.last}
	var names []string
	for range 1 + m.rand.IntN(4) {
		names = append(names, modelChannels[m.rand.IntN(len(modelChannels))])
		s.channels[names[len(names)-1]] = true
	}
	start := Start{}
	switch m.rand.IntN(3) {
	case 0:
		start.Replay = m.rand.IntN(20)
	case 1:
		if len(m.events) > 0 {
			s.position = m.events[m.rand.IntN(len(m.events))].id
			start.After = s.position.String()
		}
	}
	s.Subscription = m.broker.Subscribe(names, start)
	if s.replays = start.Replay > 0; s.replays {
		s.position, _ = ParseID(s.Position())
	}
	m.subs = append(m.subs, s)
}

// read takes all that there is for a subscription.
func (m *model) read(s *modelSub) {
	mayMiss := s.replays
	s.replays = false
	for {
		frames, err := s.Next(nil)
		if err != nil {
			m.t.Fatal(err)
		}
		if len(frames) == 0 {
			break
		}
		for _, frame := range frames {
			if sse.IsGap(frame) {
				mayMiss = true
				if m.keepsAll && m.lost.Compare(s.position) <= 0 {
					m.t.Errorf("a gap after %v, although nothing was lost", s.position)
				}
				continue
			}
			event, err := sse.NewReader(bytes.NewReader(frame)).Next()
			id, ok := ParseID(event.ID)
			if err != nil || !ok {
				m.t.Errorf("%q: %v", frame, err)
			}
			m.checkEvent(s, id, string(sse.FrameData(frame)), mayMiss)
			s.position = id
		}
	}
	if mayMiss {
		s.position = m.last
		return
	}
	for _, e := range m.events {
		if s.channels[e.channel] && e.id.Compare(s.position) > 0 {
			m.t.Errorf("%v has not come", e.id)
		}
	}
	if m.lost.Compare(s.position) > 0 {
		m.t.Errorf("events before %v may be missing, and there was no gap at %v", m.lost, s.position)
	}
	s.position = m.last
}

// checkEvent checks what a subscription is given after its position.
func (m *model) checkEvent(s *modelSub, id ID, data string, mayMiss bool) {
	m.t.Helper()
	found := false
	for _, e := range m.events {
		if !s.channels[e.channel] || e.id.Compare(s.position) <= 0 || e.id.Compare(id) > 0 {
			continue
		}
		if e.id == id && e.data == data {
			found = true
		} else if !mayMiss {
			m.t.Errorf("%v is missing before %v, and there was no gap", e.id, id)
		}
	}
	if !found {
		m.t.Errorf("%v is no event that follows %v", id, s.position)
	}
}

// checkAccounts checks that what is counted is what is there.
func (m *model) checkAccounts() {
	m.t.Helper()
	want := map[string]int{}
	for _, s := range m.subs {
		for name := range s.channels {
			want[name]++
		}
	}
	if got := m.broker.Subscribers(len(modelChannels)); fmt.Sprint(got) != fmt.Sprint(want) {
		m.t.Errorf("subscribers %v, want %v", got, want)
	}
	bytes := 0
	for name, c := range m.broker.byName {
		if bytes += c.size(); c.len() == 0 && len(c.subs) == 0 {
			m.t.Errorf("%s has neither events nor subscribers", name)
		}
	}
	if counted := m.broker.bytes; counted != bytes {
		m.t.Errorf("%d bytes are counted, %d are there", counted, bytes)
	}
}
