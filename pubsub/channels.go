package pubsub

import (
	"bytes"
	"container/list"
	"fmt"
	"math"
	"slices"
	"time"

	"example.com/sse-demo/sse"
)

// channels are the logs of all channels of a broker. They have one lock, so that
// their events have one order.
type channels struct {
	mu        notifier
	maxEvents int                 // of a channel
	begin     ID                  // what came before is unknown
	newest    ID                  // of all events, or up to which events are lost
	skew      time.Duration       // by which the clock that gives out ids may be ahead of this one
	byName    map[string]*channel // those with events or subscribers
	followed  list.List           // of *channel, those with subscribers
	history   history
	dropped   dropped
	onDrop    func(channel string, id ID) // may be nil
}

type channel struct {
	*Log
	name     string
	used     *list.Element // in history.channels; nil if the channel has no events
	followed *list.Element // in channels.followed; nil if it has no subscribers
}

func (all *channels) init(maxEvents, maxBytes int) {
	all.maxEvents = maxEvents
	all.byName = map[string]*channel{}
	all.history.maxBytes = maxBytes
	all.dropped = newDropped(maxDropped)
}

// append adds an event with an id above all before it, and returns how many
// subscriptions it has reached. It needs the lock.
func (all *channels) append(id ID, name, event string, data []byte) (delivered int, err error) {
	frame, err := encode(id, event, data)
	if err != nil {
		return 0, fmt.Errorf("publish to %q: %w", name, err)
	}
	all.newest = id
	c := all.channel(name)
	before := c.size()
	if c.len() == all.maxEvents {
		all.drop(c)
	}
	c.append(entry{id, frame})
	all.history.bytes += c.size() - before
	all.history.use(c)
	all.evict(c)
	return len(c.subs), nil
}

// drop forgets the oldest event of a channel.
func (all *channels) drop(c *channel) {
	if all.onDrop != nil {
		all.onDrop(c.name, c.at(c.first).id)
	}
	c.drop()
}

// encode returns a frame with no room to spare, because it may be kept for long.
func encode(id ID, name string, data []byte) ([]byte, error) {
	event := sse.Event{ID: id.String(), Name: name, Data: data}
	const fields = len("id: \nevent: \ndata: \n\n")
	lines := bytes.Count(data, []byte("\n"))
	if returns := bytes.Count(data, []byte("\r")); returns > 0 {
		lines += returns - bytes.Count(data, []byte("\r\n"))
	}
	return event.Append(make([]byte, 0, fields+len(event.ID)+len(name)+len(data)+lines*len("data: ")))
}

func (all *channels) subscribe(names []string, start Start) Subscription {
	all.mu.Lock()
	defer all.mu.Unlock()
	used := make([]*channel, 0, len(names))
	logs := make([]*Log, 0, len(names))
	for _, name := range names {
		c := all.channel(name)
		if slices.Contains(used, c) {
			continue
		}
		if c.used != nil {
			all.history.use(c)
		}
		if c.followed == nil {
			c.followed = all.followed.PushBack(c)
		}
		used, logs = append(used, c), append(logs, c.Log)
	}
	s := subscribe(&all.mu, logs, start, all.order())
	s.closed = func() {
		for _, c := range used {
			all.left(c)
		}
	}
	return s
}

func (all *channels) order() order {
	latest := ID{uint64(time.Now().Add(all.skew).UnixMilli()), math.MaxUint64}
	if all.newest.Compare(latest) > 0 {
		latest = all.newest
	}
	return order{begin: all.begin, newest: all.newest, latest: latest}
}

// subscribers counts the subscriptions of up to limit channels that have any: those
// that have had some for the longest time. Its cost does not depend on how many
// channels there are.
func (all *channels) subscribers(limit int) map[string]int {
	all.mu.RLock()
	defer all.mu.RUnlock()
	counts := map[string]int{}
	for e := all.followed.Front(); e != nil && len(counts) < limit; e = e.Next() {
		c := e.Value.(*channel)
		counts[c.name] = len(c.subs)
	}
	return counts
}

// channel returns the channel of that name. One that was dropped as a whole begins
// after the last event that it had.
func (all *channels) channel(name string) *channel {
	c := all.byName[name]
	if c == nil {
		c = &channel{Log: newLog(&all.mu, all.maxEvents, all.dropped.last(name)), name: name}
		all.byName[name] = c
	}
	return c
}

// left notes that a subscription of the channel was closed.
func (all *channels) left(c *channel) {
	if len(c.subs) == 0 {
		all.followed.Remove(c.followed)
		c.followed = nil
	}
	all.removeUnused(c)
}

// removeUnused removes a channel that has neither events nor subscribers.
func (all *channels) removeUnused(c *channel) {
	if c.len() == 0 && len(c.subs) == 0 {
		delete(all.byName, c.name)
		all.dropped.add(c.name, c.dropped)
	}
}
