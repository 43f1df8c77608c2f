package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/alecthomas/kong"
	"github.com/mattn/go-isatty"
)

// Errors of Command, by the exit status of the program.
var (
	// ErrFailed: a check has failed, as the report says. Status 1.
	ErrFailed = errors.New("a check has failed")
	// ErrNotTried: the endpoint could not be tried, and why. Status 2.
	ErrNotTried = errors.New("not checked")
)

// Command is the command with these arguments, its own name not included. It
// prints the report to stdout.
func Command(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	log.SetOutput(io.Discard) // net/http's, to which it writes what a broken server sends
	var o Options
	exited := false
	parser, err := kong.New(
		&o,
		kong.Name("sse-demo check"),
		kong.Description("Tries an SSE endpoint, through whatever is in between, and says what its clients would suffer. "+
			"It sends GET, HEAD and OPTIONS, and never a body. Exit status: 0 nothing failed, 1 something did, 2 it could not try."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { exited = true }),
	)
	if err != nil {
		return err
	}
	parsed, err := parser.Parse(args)
	if exited { // --help was all that was wanted
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w (sse-demo check --help)", ErrNotTried, err)
	}
	for _, p := range parsed.Path {
		if p.Flag != nil && parsed.FlagValue(p.Flag) == "" {
			return fmt.Errorf("%w: --%s is empty; is it a variable that is not set?", ErrNotTried, p.Flag.Name)
		}
	}
	return Run(ctx, o, stdout, stderr)
}

// Run checks the endpoint and prints the report to stdout; progress goes to
// stderr, if that is a terminal.
func Run(ctx context.Context, o Options, stdout, stderr io.Writer) error {
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
