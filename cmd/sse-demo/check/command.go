package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/mattn/go-isatty"
)

// Errors of Run, by the exit status of the program.
var (
	// ErrFailed: a check has failed, as the report says. Status 1.
	ErrFailed = errors.New("a check has failed")
	// ErrNotTried: the endpoint could not be tried, and why. Status 2.
	ErrNotTried = errors.New("not checked")
)

// Run checks the endpoint and prints the report to stdout; progress goes to
// stderr, if that is a terminal.
func Run(ctx context.Context, o Options, stdout, stderr io.Writer) error {
	log.SetOutput(io.Discard) // net/http's, to which it writes what a broken server sends
	s, err := newSession(o)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotTried, err)
	}
	stop := func() {}
	if isTerminal(stderr) {
		stop = s.showProgress(stderr)
	}
	err = s.observe(ctx)
	stop()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotTried, err)
	}
	report := s.judge()
	if o.JSON {
		err = report.writeJSON(stdout)
	} else {
		err = report.writeText(stdout, isTerminal(stdout) && os.Getenv("NO_COLOR") == "")
	}
	if err != nil {
		return fmt.Errorf("%w: the report could not be written: %w", ErrNotTried, err)
	}
	if report.failed() {
		return ErrFailed
	}
	return nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
