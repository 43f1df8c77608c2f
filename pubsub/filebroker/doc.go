// Package filebroker is a [pubsub.Broker] that keeps its channels, and the journal of
// jobs, in one file: they survive a restart, and a kill at any moment. The file is a
// database of bbolt (go.etcd.io/bbolt), so no other service is needed. The package can
// be copied into another project together with sse and pubsub.
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
// One goroutine commits. While it does, further publishers wait, and the next commit
// takes all of them: they share the two syncs that it costs. Committed events are
// appended to a [pubsub.Replica], which subscribers read, so no subscriber waits for
// the disk. The next commit deletes from the file what the replica no longer keeps.
//
// # When the disk is full
//
// Publish fails with pubsub.ErrNotPublished, and Err says why, until there is room
// again, which the broker finds out by itself. Subscribers notice nothing.
//
// # Damage
//
// Start reads the whole file first, and refuses one that is damaged, without changing
// it: see load.go.
package filebroker
