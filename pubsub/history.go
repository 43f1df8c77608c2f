package pubsub

import "container/list"

// channelSize is counted for a channel on top of its events: the log, its entries
// in the map and in the list.
const channelSize = 512

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
	if c.used == nil {
		c.used = h.channels.PushFront(c)
	}
	h.channels.MoveToFront(c.used)
}

// evict drops the channels used least recently until the rest fits, and then the
// oldest events of the one in use.
func (all *channels) evict(inUse *channel) {
	h := &all.history
	for h.bytes > h.maxBytes {
		c := h.channels.Back().Value.(*channel)
		if c == inUse && c.len() == 1 {
			return
		}
		before := c.size()
		all.drop(c)
		for c != inUse && c.len() > 0 {
			all.drop(c)
		}
		h.bytes += c.size() - before
		if c.len() == 0 {
			h.channels.Remove(c.used)
			c.used, c.ring = nil, nil
			all.removeUnused(c)
		}
	}
}
