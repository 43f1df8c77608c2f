// Package redisbroker is a pubsub.Broker over any number of processes, on Redis 6.2
// or later, or Valkey: a single server, with Sentinel, or a cluster.
//
// # How it works
//
// One Redis Stream holds the events of all channels, and an event has the id of its
// entry. Each process follows the stream and keeps a copy, a pubsub.Replica.
// Subscribers read the copy only, so a client that returns costs Redis nothing,
// however many do so at once.
//
// # What it promises
//
// What Publish has confirmed arrives once and in order in every process, whatever
// becomes of the connections. What Redis lost, or trimmed before a process had
// read it, is a gap. A command whose answer was lost is never repeated, because
// Redis may have carried it out: Publish then returns pubsub.ErrUnconfirmed, as it
// does if this process does not read the event in time.
//
// # Bounds and deadlines
//
// The stream keeps a number of events and a number of bytes, whichever is reached
// first. Each entry carries the running total of bytes, so the script that appends
// (append.lua) knows exactly what is kept, however many processes publish. A publish
// takes at most two seconds. An answer that has begun fails only if no byte comes for some
// seconds, so a large history may take its time over a slow line.
//
// # Failover
//
// With a URL like redis://host:26379/0?master_name=NAME the broker follows the
// master that the Sentinels name. In a cluster it follows the stream: any node's URL
// will do. After a failover, events that the new master does not have are a gap, and
// ids go on above all that were given out. A process that never read the lost events
// cannot notice the loss, so one that did records it in the stream, and all give their
// subscribers a gap. If no such process is left, the loss cannot be known.
package redisbroker
