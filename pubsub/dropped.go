package pubsub

import "hash/maphash"

// maxDropped is how many dropped channels are known one by one, at least. Twice as
// many take some 20 MB.
const maxDropped = 1 << 18

// dropped knows the last id of each channel that was dropped as a whole: a client
// that resumes in such a channel gets a gap if it has not seen that event, and a
// client of a channel that never had an event gets none. Beyond a number of channels
// it forgets those that were dropped first. From then on any channel that it does not
// know may have lost events up to the newest id that it has forgotten.
type dropped struct {
	max           int // of recent, and of older
	seed          maphash.Seed
	recent, older map[uint64]ID // by the hash of the name
	newest        ID            // of recent
	newestOlder   ID            // of older
	forgotten     ID            // the newest id that is no longer in either
}

func newDropped(limit int) dropped {
	return dropped{max: limit, seed: maphash.MakeSeed(), recent: map[uint64]ID{}}
}

// add notes that events of a channel up to last are gone.
func (d *dropped) add(name string, last ID) {
	if last.Compare(d.forgotten) <= 0 {
		return
	}
	if len(d.recent) == d.max {
		d.addAll(d.newestOlder)
		d.older, d.newestOlder = d.recent, d.newest
		d.recent, d.newest = map[uint64]ID{}, ID{}
	}
	d.recent[maphash.String(d.seed, name)] = last
	d.newest = later(d.newest, last)
}

// addAll notes that events of any channel up to id may be gone.
func (d *dropped) addAll(id ID) { d.forgotten = later(d.forgotten, id) }

// last returns the id up to which events of the channel may be gone.
func (d *dropped) last(name string) ID {
	hash := maphash.String(d.seed, name)
	return later(d.forgotten, later(d.recent[hash], d.older[hash]))
}
