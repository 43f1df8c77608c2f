package routes

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"regexp/syntax"
	"strings"

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

	follower *tail.Follower
	grep     *regexp.Regexp // nil matches every line
}

// check finds the file and compiles the expression.
func (p *logParams) check(s *Server) (wrong []fieldError) {
	var names []string
	for _, l := range s.config.Logs {
		names = append(names, l.Name)
		if l.Name == p.File {
			p.follower = l.Tail
		}
	}
	if p.follower == nil {
		wrong = append(wrong, fieldError{"file", "oneof", "file must be one of " + strings.Join(names, ", ")})
	}
	if p.Grep == "" {
		return wrong
	}
	if len(p.Grep) > maxGrep {
		return append(wrong, fieldError{"grep", "max", fmt.Sprintf("grep must be at most %d bytes", maxGrep)})
	}
	var err error
	p.grep, err = tail.CompileGrep(p.Grep)
	if _, isSyntax := errors.AsType[*syntax.Error](err); isSyntax {
		return append(wrong, fieldError{"grep", "re2", "grep must be an RE2 expression: " + err.Error()})
	}
	if err != nil {
		return append(wrong, fieldError{"grep", "max", "grep: " + err.Error()})
	}
	return wrong
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
	return s.stream(c, logStream, p.Wait, func(lastEventID string) (sse.Source, error) {
		return untilShutdown{p.follower.Follow(p.Lines, p.grep, lastEventID), s.gate.shutdown}, nil
	})
}

// untilShutdown is a source that has nothing more to send when the service shuts down.
// The end of each stream is a line of the service's own log, which all the others would
// still send; their clients get it after the restart.
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
