package pubsub

import "time"

// A Replica is this process's copy of the channels of a broker whose events are
// kept elsewhere: in Redis, or in a file. The broker loads the replica when it
// starts, appends each event that is published, and lets its subscribers read the
// replica. It is safe for concurrent use.
type Replica struct{ channels channels }

// NewReplica returns an empty replica. It keeps as much as [NewMemory] says. It calls
// dropped, unless that is nil, for each event that it no longer keeps; dropped must not
// use the replica. skew is how far the clock that ids come from may be ahead of this one:
// an id beyond that begins with a gap.
func NewReplica(maxEvents, maxBytes int, skew time.Duration, dropped func(channel string, id ID)) *Replica {
	r := new(Replica)
	r.channels.init(maxEvents, maxBytes)
	r.channels.skew, r.channels.onDrop = skew, dropped
	return r
}

// Append adds an event, whose id must be above all before it, and returns how many
// subscriptions it has reached. An error wraps sse.ErrInvalidField; nothing is added then.
func (r *Replica) Append(id ID, channel, name string, data []byte) (delivered int, err error) {
	r.channels.mu.Lock()
	defer r.channels.mu.Unlock()
	return r.channels.append(id, channel, name, data)
}

// LoseBefore says that events before id may be missing in these channels, or if
// none is named, in all. Their subscriptions get a gap, and so does a client that
// resumes before id. What is kept stays. The first call without channels says where
// the order begins.
func (r *Replica) LoseBefore(id ID, channels ...string) {
	all, lost := &r.channels, id.previous()
	all.mu.Lock()
	defer all.mu.Unlock()
	for _, name := range channels {
		if c := all.byName[name]; c != nil {
			c.lose(lost)
		} else {
			all.dropped.add(name, lost)
		}
	}
	if len(channels) > 0 {
		return
	}
	if all.begin == (ID{}) {
		all.begin = lost
	}
	all.newest = later(all.newest, lost)
	all.dropped.addAll(lost)
	for _, c := range all.byName {
		c.lose(lost)
	}
}

// Subscribe returns a subscription to the channels, as [Broker] does.
func (r *Replica) Subscribe(channels []string, start Start) Subscription {
	return r.channels.subscribe(channels, start)
}

// Subscribers counts the subscriptions of each channel that has any, of up to limit
// channels. It is quick, however many channels there are.
func (r *Replica) Subscribers(limit int) map[string]int { return r.channels.subscribers(limit) }
