// Package filebroker is a [pubsub.Broker] that keeps its channels, and the journal of
// jobs, in one file: they survive a restart, and a kill at any moment. No other service is
// needed. The package can be copied into another project together with sse and pubsub.
//
// # What is promised
//
// Publish returns when the event is in the file and synced to the disk. After that the
// event comes back at each start, once, in order and with the same id, as long as the
// history keeps it. Ids rise over restarts, even if the clock was set back. Subscribers
// get an event after its commit, so none of them has one that a power cut undoes. What
// a sync is worth then is up to the disk.
//
// # How it works
//
// The file is a log of records: events, messages of the journal, and what is lost. A record
// counts when the header of the file includes it, so a commit is two writes, each of which
// is synced. One goroutine commits. While it does, further publishers wait, and the next
// commit takes all of them. Committed events are appended to a [pubsub.Replica], which
// subscribers read, so no subscriber waits for the disk. When the log is long, what is still
// kept is copied, which publishers wait for.
//
// # When the disk is full
//
// Publish fails with pubsub.ErrNotPublished, and Err says why, until there is room
// again, which the broker finds out by itself. Subscribers notice nothing.
//
// # Damage
//
// The header and each record have a checksum. Start reads the whole file first, and refuses
// one that is damaged, or shorter than its header says, without changing it.
package filebroker
