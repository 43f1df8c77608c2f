// Package filebroker is a [pubsub.Broker] that keeps its channels, and the journal of
// jobs, in one file: they survive a restart, and a kill at any moment. The file is a
// database of bbolt (go.etcd.io/bbolt), which needs no other service. The package can be
// copied into another project together with sse and pubsub.
//
// # What is promised
//
// Publish returns when the event is in the file and synced to the disk. After that the
// event comes back at each start, once, in order and with the same id, as long as the
// history keeps it. Ids rise over restarts, even if the clock was set back. An event
// reaches subscribers after its commit, so none of them has what a power cut undoes; how
// much a sync is worth then is up to the disk.
//
// # How it works
//
// One goroutine commits. While a commit is under way further publishers wait, and the
// next commit takes all of them: many publishers at once share the two syncs that it
// costs. After the commit the events are appended to a [pubsub.Replica], which
// subscribers read, so no subscriber waits for the disk. What the replica no longer
// keeps is deleted from the file with the next commit.
//
// # When the disk is full
//
// Publish fails with pubsub.ErrNotPublished, and Err says why, until there is room
// again, which the broker finds out by itself. Subscribers notice nothing.
//
// # Damage
//
// Open reads the whole file first, and refuses one that is damaged, without changing
// it. See verify.go.
package filebroker
