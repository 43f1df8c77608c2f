// Package pubsub keeps channels as logs: a channel is a short append-only log of
// encoded frames, and a subscriber is a position in it. It imports package sse and
// the standard library, knows no HTTP, and can be copied together with sse into
// another project; its subfolders need bbolt and go-redis, and may be left out.
//
// # Publishing
//
// [Memory.Publish] encodes the event once and appends it. A goroutine that exists
// only while there is something new wakes the subscribers; the publisher neither
// waits for them nor pays for their number. Until one of them has read, they are
// not woken again.
//
// # Replay is the same read
//
// [Subscription.Next] gives what is in the log after the subscriber's position,
// whether that was published a minute or a microsecond ago. There is no
// hand-over from replayed to live events in which one could be lost or repeated.
//
// # An id is a position in one order
//
// The ids of a broker rise over all its channels. After id X a subscription to any
// set of channels continues with everything after X, so a client may change its
// channels, or the process that it is connected to, and go on. Nothing is looked
// up: X need not be the id of an event in those channels.
//
// # Gaps
//
// A subscriber has no queue that could fill up. If the log has dropped what it had
// not read yet, the next thing that it reads is a gap event (see sse.AppendGap),
// and then what is kept. A client that resumes after X gets one if anything after
// X was dropped from its channels, or if X cannot be an id of this broker: not of
// the form, from before the broker began, or later than now. A loss in one channel
// repeats nothing of another.
//
// # Memory
//
// A channel keeps a number of events; all channels together keep a number of
// bytes, as subscribers get them. Beyond that the channel that was not used for the
// longest time is dropped as a whole. Its last id is remembered, so that its clients
// get a gap, and clients of a channel that never had an event get none. The last ids of
// at least 262,144 dropped channels are remembered, in up to 20 MB more.
//
// # Other brokers
//
// A [Broker] is two methods. Package filebroker is one that survives a restart, and
// package redisbroker one over several processes. Each feeds a [Replica], which
// subscribers read.
//
// # Concurrency
//
// A Log and a broker may be used by any number of goroutines, a Subscription by
// one.
package pubsub
