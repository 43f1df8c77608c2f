package pubsub

import "container/list"

const (
	// channelSize is counted for a channel on top of its events: the log, its
	// entries in the map and in the list.
	channelSize = 512
	// droppedSize is counted for the memory of a channel that was dropped, on top
	// of its name.
	droppedSize = 192
	// droppedShare is the part of the history's bytes that this memory may take.
	droppedShare = 16
)

// A history bounds the bytes of all channels together.
type history struct {
	maxBytes int
	bytes    int       // what the channels with events are counted as
	channels list.List // of *channel, those with events, most recently used first
}

// size is what the channel counts against history.maxBytes.
func (c *channel) size() int {
	if c.len() == 0 {
		return 0
	}
	return channelSize + len(c.name) + c.bytes
}

// use makes c the channel that was used last.
func (h *history) use(c *channel) {
	if c.element == nil {
		c.element = h.channels.PushFront(c)
	}
	h.channels.MoveToFront(c.element)
}

// evict drops the channels used least recently until the rest fits, and then the
// oldest events of the one in use.
func (m *Memory) evict(inUse *channel) {
	h := &m.history
	for h.bytes > h.maxBytes {
		c := h.channels.Back().Value.(*channel)
		if c == inUse && c.len() == 1 {
			return
		}
		before := c.size()
		c.drop()
		for c != inUse && c.len() > 0 {
			c.drop()
		}
		h.bytes += c.size() - before
		if c.len() == 0 {
			h.channels.Remove(c.element)
			c.element, c.ring = nil, nil
			m.removeUnused(c)
		}
	}
}

// dropped remembers the last id of channels that were dropped as a whole, so that
// a client that resumes in one of them gets a gap, and a client of a channel that
// was never used gets none. It is bounded: beyond maxBytes it forgets the oldest
// name, and from then on any channel it does not know may have lost events up to
// that id.
type dropped struct {
	maxBytes int
	bytes    int
	byName   map[string]*list.Element
	names    list.List // of droppedChannel, oldest first
	unknown  ID        // the newest id of those that it has forgotten
}

type droppedChannel struct {
	name string
	last ID
}

func newDropped(maxBytes int) dropped {
	return dropped{maxBytes: maxBytes, byName: map[string]*list.Element{}}
}

// add remembers that the events of a channel up to last are gone.
func (d *dropped) add(name string, last ID) {
	if last.Compare(d.unknown) <= 0 {
		return
	}
	d.byName[name] = d.names.PushBack(droppedChannel{name, last})
	d.bytes += droppedSize + len(name)
	for d.bytes > d.maxBytes {
		oldest := d.remove(d.names.Front())
		if oldest.last.Compare(d.unknown) > 0 {
			d.unknown = oldest.last
		}
	}
}

// take returns the id up to which events of the channel may be gone, and forgets
// it: the channel's log knows it from now on.
func (d *dropped) take(name string) ID {
	if element := d.byName[name]; element != nil {
		return d.remove(element).last
	}
	return d.unknown
}

func (d *dropped) remove(element *list.Element) droppedChannel {
	c := d.names.Remove(element).(droppedChannel)
	delete(d.byName, c.name)
	d.bytes -= droppedSize + len(c.name)
	return c
}

// forgetAll says that events of any channel up to id may be gone.
func (d *dropped) forgetAll(id ID) {
	*d = newDropped(d.maxBytes)
	d.unknown = id
}
