// Package job runs jobs and lets any number of clients watch each. A job is a
// function; it outlives its watchers. Its events are a log, so a watcher that
// comes late or comes back is a cursor like any other.
//
// # Replicas
//
// What happens to jobs goes through one channel of the broker, which clients
// cannot name: a claim to run a job, its progress, its end, and signs of life of
// the replicas. Every replica reads it in the same order and so comes to the same
// conclusions: the first claim wins, and so does the first end. A job can be
// watched and cancelled on any replica; one whose replica is no longer heard of
// is ended as failed by the others. With the broker in memory it is the same, with
// one replica.
package job
