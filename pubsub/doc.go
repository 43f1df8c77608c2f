// Package pubsub holds channels as logs: a channel is a short append-only log of
// encoded frames, and a subscriber is a position in it. It knows nothing of HTTP
// and can be copied, together with package sse, into another project.
//
// # Publishing
//
// [Memory.Publish] encodes the event once and appends it. A goroutine that is
// there only while there is news wakes the subscribers; the publisher neither
// waits for them nor pays for their number. While none of those it has woken has
// read, it does not wake them again.
//
// # Replay is the same read
//
// [Subscription.Next] gives what is in the log after the subscriber's position,
// whether that was published a minute or a microsecond ago. There is no
// hand-over from replayed to live events at which one could be lost or repeated.
//
// # Slow subscribers
//
// A subscriber has no queue that could fill up. When the log has dropped what it
// had not read yet, the next thing it reads is a gap event (see sse.AppendGap)
// and then what is kept.
//
// # Order
//
// The ids of a broker rise over all its channels, so a subscription may follow
// several and is given their events in id order; one id is its position in all
// of them. All subscribers of a channel see the same order.
//
// # Replicas
//
// [Redis] is the same broker over several processes: one Redis Stream is the log
// of all channels, and each process mirrors it in a [Memory]. What Redis has
// acknowledged arrives once and in order everywhere, whatever becomes of the
// connections. It is in the files redis*.go; leave those out where you need
// one process only.
//
// # Memory
//
// A log keeps a number of events; all logs together keep a number of bytes,
// beyond which the channel that was not used for the longest time is dropped as a
// whole. What a subscriber misses by that it is told, like any other loss.
//
// # Concurrency
//
// A Log and a broker may be used by any number of goroutines, a Subscription by
// one.
package pubsub
