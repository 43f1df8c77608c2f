package pubsub

import (
	"container/list"
	"fmt"
	"math"
	"slices"
	"time"

	"example.com/sse-demo/sse"
)

// channelSize is counted for a channel on top of its events: the log, and its entries in
// the map and the lists.
const channelSize = 512

// A Replica is this process's copy of the channels of a broker whose events are kept
// elsewhere: in Redis, or in a file. The broker loads the replica when it starts, appends
// each event that is published, and lets its subscribers read the replica. It is safe
// for concurrent use.
type Replica struct {
	mu        notifier // of all logs, so that their events have one order
	maxEvents int      // of a channel
	maxBytes  int      // of all channels
	bytes     int      // what the events and their channels are counted as
	newest    ID       // of all events, or up to which events are lost
	scratch   []byte   // for encoding
	skew      time.Duration
	onDrop    func(channel string, id, before ID) // may be nil

	byName   map[string]*channel // those with events or subscribers
	used     list.List           // of *channel, those with events, most recently used first
	followed list.List           // of *channel, those with subscribers
	dropped  dropped
}

type channel struct {
	*Log
	name     string
	used     *list.Element // in Replica.used; nil if the channel has no events
	followed *list.Element // in Replica.followed; nil if it has no subscribers
}

// NewReplica returns an empty replica. It keeps as much as [NewMemory] says. It calls
// dropped, unless that is nil, for each event that it no longer keeps; events of its channel
// up to before were gone already. dropped must not use the replica. skew is how far the
// clock that ids come from may be ahead of this one: an id beyond that begins with a gap.
func NewReplica(maxEvents, maxBytes int, skew time.Duration, dropped func(channel string, id, before ID)) *Replica {
	return &Replica{
		maxEvents: max(maxEvents, 1), maxBytes: maxBytes, skew: skew, onDrop: dropped,
		byName: map[string]*channel{}, dropped: newDropped(maxDropped),
	}
}

// Append adds an event, whose id must be above all before it, and returns how many
// subscriptions it has reached. An error wraps sse.ErrInvalidField; nothing is added then.
func (r *Replica) Append(id ID, channel, name string, data []byte) (delivered int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.append(id, channel, name, data)
}

func (r *Replica) append(id ID, name, event string, data []byte) (delivered int, err error) {
	encoded, err := sse.Event{ID: id.String(), Name: event, Data: data}.Append(r.scratch[:0])
	if err != nil {
		return 0, fmt.Errorf("publish to %q: %w", name, err)
	}
	r.scratch = encoded
	frame := append(make([]byte, 0, len(encoded)), encoded...) // no room to spare: it may be kept for long
	r.newest = id
	if full := r.byName[name]; full != nil && full.len() == r.maxEvents {
		r.drop(full)
	}
	c := r.channel(name)
	if c.used == nil {
		c.used = r.used.PushFront(c)
		r.bytes += channelSize + len(name)
	}
	r.used.MoveToFront(c.used)
	c.append(entry{id, frame})
	r.bytes += entrySize + len(frame)
	r.evict(c)
	return len(c.subs), nil
}

// evict drops the channels used least recently until the rest fits, and then the oldest
// events of the one in use.
func (r *Replica) evict(inUse *channel) {
	for r.bytes > r.maxBytes && (r.used.Len() > 1 || inUse.len() > 1) {
		c := r.used.Back().Value.(*channel)
		r.drop(c)
		for c != inUse && c.len() > 0 {
			r.drop(c)
		}
	}
}

// drop forgets the oldest event of a channel.
func (r *Replica) drop(c *channel) {
	oldest := c.at(c.first)
	if r.onDrop != nil {
		r.onDrop(c.name, oldest.id, c.dropped)
	}
	r.bytes -= entrySize + len(oldest.frame)
	c.drop()
	if c.len() == 0 {
		r.bytes -= channelSize + len(c.name)
		r.used.Remove(c.used)
		c.used, c.ring = nil, nil
		r.removeUnused(c)
	}
}

// LoseBefore notes that events before id may be missing in these channels, or if none is
// named, in all. Their subscriptions get a gap, and so does a client that resumes before
// id. What is kept stays.
func (r *Replica) LoseBefore(id ID, channels ...string) {
	lost := id.previous()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range channels {
		if c := r.byName[name]; c != nil {
			c.lose(lost)
		} else {
			r.dropped.add(name, lost)
		}
	}
	if len(channels) > 0 {
		return
	}
	r.newest = later(r.newest, lost)
	r.dropped.addAll(lost)
	for _, c := range r.byName {
		c.lose(lost)
	}
}

// Subscribe returns a subscription to the channels, as [Broker] does.
func (r *Replica) Subscribe(channels []string, start Start) Subscription {
	r.mu.Lock()
	defer r.mu.Unlock()
	used := make([]*channel, 0, len(channels))
	logs := make([]*Log, 0, len(channels))
	for _, name := range channels {
		c := r.channel(name)
		if slices.Contains(used, c) {
			continue
		}
		if c.used != nil {
			r.used.MoveToFront(c.used)
		}
		if c.followed == nil {
			c.followed = r.followed.PushBack(c)
		}
		used, logs = append(used, c), append(logs, c.Log)
	}
	latest := ID{uint64(time.Now().Add(r.skew).UnixMilli()), math.MaxUint64}
	s := subscribe(&r.mu, logs, start, r.newest, later(r.newest, latest))
	s.closed = func() {
		for _, c := range used {
			if len(c.subs) == 0 {
				r.followed.Remove(c.followed)
				c.followed = nil
			}
			r.removeUnused(c)
		}
	}
	return s
}

// Subscribers counts the subscriptions of up to limit channels that have any: those that
// have had some for the longest time. Its cost does not depend on how many channels there
// are.
func (r *Replica) Subscribers(limit int) map[string]int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	counts := map[string]int{}
	for e := r.followed.Front(); e != nil && len(counts) < limit; e = e.Next() {
		c := e.Value.(*channel)
		counts[c.name] = len(c.subs)
	}
	return counts
}

// channel returns the channel of that name. One that was dropped as a whole begins
// after the last event that it had.
func (r *Replica) channel(name string) *channel {
	c := r.byName[name]
	if c == nil {
		c = &channel{Log: newLog(&r.mu, r.maxEvents, r.dropped.last(name)), name: name}
		r.byName[name] = c
	}
	return c
}

// removeUnused removes a channel that has neither events nor subscribers.
func (r *Replica) removeUnused(c *channel) {
	if c.len() == 0 && len(c.subs) == 0 {
		delete(r.byName, c.name)
		r.dropped.add(c.name, c.dropped)
	}
}
