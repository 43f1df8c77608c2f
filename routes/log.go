package routes

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/sse-demo/routes/tail"
	"example.com/sse-demo/sse"
)

// maxGrep is the length of an expression, in bytes.
const maxGrep = 256

// A LogFile is a file that /stream/log may follow.
type LogFile struct {
	Name string // by which clients ask for it
	Tail *tail.Follower
}

type logParams struct {
	Wait  *int   `query:"wait" validate:"omitnil,min=0,max=60000"` // ms
	File  string `query:"file"`
	Lines int    `query:"lines" validate:"min=0,max=1000"`
	Grep  string `query:"grep"`
}

// log streams the lines of a file.
func (s *Server) log(c echo.Context) error {
	if len(s.config.Logs) == 0 {
		return newProblem(http.StatusNotFound, "no log file is configured")
	}
	p := logParams{File: s.config.Logs[0].Name, Lines: 10}
	if err := s.bindQuery(c, &p); err != nil {
		return err
	}
	file, err := s.logFile(p.File)
	if err != nil {
		return err
	}
	grep, err := compileGrep(p.Grep)
	if err != nil {
		return err
	}
	return s.stream(c, logStream, p.Wait, func(lastEventID string) (sse.Source, error) {
		feed := file.Follow(p.Lines, grep, lastEventID)
		if p.Wait != nil && grep != nil {
			s.prefill(c.Request().Context(), feed, time.Duration(*p.Wait)*time.Millisecond)
		}
		return untilShutdown{feed, s.gate.shutdown}, nil
	})
}

// leastSearch is how long a poll may search a file before its head, however short its
// wait is. If nothing matches, the head has the position up to which it has searched,
// and the next poll need not search that again.
const leastSearch = time.Second

// prefill waits until a feed has a match or has searched all there is. It ends when
// the wait of the poll is over, the client leaves or the service shuts down.
func (s *Server) prefill(ctx context.Context, feed *tail.Feed, wait time.Duration) {
	var watching sync.WaitGroup
	defer watching.Wait()
	ctx, cancel := context.WithTimeout(ctx, max(wait, leastSearch))
	defer cancel()
	watching.Go(func() {
		select {
		case <-s.gate.shutdown:
			cancel()
		case <-ctx.Done():
		}
	})
	feed.Prefill(ctx)
}

func (s *Server) logFile(name string) (*tail.Follower, error) {
	var names []string
	for _, l := range s.config.Logs {
		if l.Name == name {
			return l.Tail, nil
		}
		names = append(names, l.Name)
	}
	return nil, invalid(fieldError{"file", "oneof", "file must be one of " + strings.Join(names, ", ")})
}

// compileGrep returns nil for the empty expression, which matches every line.
func compileGrep(expr string) (*regexp.Regexp, error) {
	if expr == "" {
		return nil, nil //nolint:nilnil // no expression is no error
	}
	if len(expr) > maxGrep {
		return nil, invalid(fieldError{"grep", "max", "grep must be at most 256 bytes"})
	}
	re, err := tail.CompileGrep(expr)
	if _, tooLarge := errors.AsType[*tail.ProgramError](err); tooLarge {
		return nil, invalid(fieldError{"grep", "max", "grep: " + err.Error()})
	}
	if err != nil {
		return nil, invalid(fieldError{"grep", "re2", "grep must be an RE2 expression: " + err.Error()})
	}
	return re, nil
}

// untilShutdown is a source that has nothing more to send when the service shuts
// down: its clients get the rest after the restart, because the file is still there.
type untilShutdown struct {
	*tail.Feed
	shutdown <-chan struct{}
}

func (u untilShutdown) Next(frames [][]byte) ([][]byte, error) {
	select {
	case <-u.shutdown:
		return frames, nil
	default:
		return u.Feed.Next(frames)
	}
}
