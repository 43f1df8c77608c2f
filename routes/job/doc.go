// Package job runs jobs, and lets any number of clients watch each of them. A job
// outlives its watchers: a client that disconnects stops nothing, and a client
// that comes back continues after the last event that it has.
//
// # Kinds
//
// What a job does is a function in a table, [Manager.Kinds]. It either reports its
// progress or writes a text piece by piece:
//
//	jobs := job.NewManager(logger, job.NewJournal())
//	jobs.Kinds["import"] = job.Kind{Report: importFiles}
//
// # Events
//
// Each job has a log, and a watcher is a position in it (see package pubsub). The
// events are "progress" or "token", and at the end one "done". The id of an event is
// the time at which the job was started, in ms, and a number that counts the events
// from 1. The number of "done" is the highest there is, so a client that brings it back
// has seen the end, whatever is still known of the job.
//
// A late watcher gets the newest progress, but every piece of a text. If a job is
// no longer known, because it ended over a minute ago or was lost with its
// process, a client that resumes it gets a gap and then "done" with the status
// "failed"; it does not start the job a second time.
//
// # Replicas
//
// Everything that happens to jobs is published to one [Journal], and every replica
// applies it in the journal's order, so all of them come to the same result: the first
// claim of a job's id wins, and so does the first end. Therefore a job runs once, and
// can be watched and cancelled on any replica. A replica publishes every ten seconds
// which jobs it runs. The others end a job that is not heard of for thirty as failed. A
// journal in memory is the same thing with one replica. Watching publishes nothing.
package job
