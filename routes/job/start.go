package job

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// confirmTimeout is how long a replica waits until it reads what was published.
const confirmTimeout = time.Second

// A claim is this replica's attempt to start a job. It is decided when the message
// is read: the first claim in the journal wins.
type claim struct {
	kind    Kind
	request Request
	decided chan struct{}
	job     *job // nil if another job of that id is running
}

// Start starts a job, in place of one that has ended, and returns its events from
// the first, to be closed after use. It fails with ErrKind, ErrRunning, ErrTooMany,
// ErrClosed or ErrAway.
func (m *Manager) Start(ctx context.Context, id, kind string, r Request) (*Watch, error) {
	j, err := m.start(ctx, id, kind, r)
	if err != nil {
		return nil, err
	}
	return j.watch(j.eventID(0).String()), nil
}

func (m *Manager) start(ctx context.Context, id, name string, r Request) (*job, error) {
	kind, ok := m.Kinds[name]
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrKind, name)
	}
	number, c, err := m.claim(kind, r)
	if j := m.find(id); errors.Is(err, ErrTooMany) && j != nil && !j.over.Load() {
		return nil, fmt.Errorf("%w: %s", ErrRunning, id) // which does not pass by waiting for another to end
	}
	if err != nil {
		return nil, err
	}
	err = m.publish(ctx, claimMessage, message{Job: id, Claim: number, IsText: kind.Write != nil})
	if err == nil {
		err = c.await()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.claims, number)
	if c.job != nil { // also if the journal has reported an error, but has the claim
		return c.job, nil
	}
	m.active--
	switch {
	case err != nil:
		return nil, err
	case m.ctx.Err() != nil:
		return nil, ErrClosed
	default:
		return nil, fmt.Errorf("%w: %s", ErrRunning, id)
	}
}

// claim counts the job among the running ones.
func (m *Manager) claim(kind Kind, r Request) (number uint64, c *claim, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.full(); err != nil {
		return 0, nil, err
	}
	m.active++
	m.lastClaim++
	c = &claim{kind: kind, request: r, decided: make(chan struct{})}
	m.claims[m.lastClaim] = c
	return m.lastClaim, c, nil
}

// full returns why no job can be started: ErrClosed or ErrTooMany. It needs the lock.
func (m *Manager) full() error {
	switch {
	case m.ctx.Err() != nil:
		return ErrClosed
	case m.active >= MaxRunning:
		return fmt.Errorf("%w: %d", ErrTooMany, m.active)
	default:
		return nil
	}
}

// Ready returns the error with which no job at all could be started now: ErrClosed,
// ErrTooMany or ErrAway.
func (m *Manager) Ready() error {
	if err := m.journal.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.full()
}

// await waits until this replica has read its claim.
func (c *claim) await() error {
	timer := time.NewTimer(confirmTimeout)
	defer timer.Stop()
	select {
	case <-c.decided:
		return nil
	case <-timer.C:
		return fmt.Errorf("%w: a claim was not confirmed in time", ErrAway)
	}
}
