package check

import "time"

// Times. Those of the checks themselves are with the functions that judge.
const (
	headTimeout = 10 * time.Second // for the head of the stream
	minPatience = 2 * time.Second  // of a probe, see record.patience
	maxPatience = 15 * time.Second
	maxSilence  = 56 * time.Second // is listened to, if the stream is silent when the time is over
	probesEnd   = 15 * time.Second // after the listening

	defaultRetry = 3 * time.Second        // of a client whose stream names none
	minRetry     = 100 * time.Millisecond // keeps an endpoint that says retry: 0 from being flooded
	maxRetry     = time.Minute            // of the delay that doubles at each failed attempt
)

// Sizes. An endpoint may send anything, for as long as it is listened to.
const (
	maxHead     = 256 << 10 // bytes of a response's head
	maxEvent    = 8 << 20   // bytes of one event
	maxArrivals = 20_000    // events of one connection that are kept, as hashes
	maxID       = 1 << 10   // bytes of an id that is kept as it is
	maxIDs      = 4 << 20   // bytes of all ids of one connection
	maxQuoted   = 60        // bytes of anything that is shown
	maxReason   = 200       // bytes of a reason that no answer came
	maxRedirect = 20        // as browsers (Fetch, "HTTP-redirect fetch")
)
