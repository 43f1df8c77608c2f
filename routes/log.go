package routes

import (
	"errors"
	"net/http"
	"regexp"
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
		return untilShutdown{file.Follow(p.Lines, grep, lastEventID), s.gate.shutdown}, nil
	})
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
