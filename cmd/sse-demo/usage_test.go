package main

import (
	"io"
	"strings"
	"testing"
)

// TestUsageNamesTheCommand whose help lists the flags.
func TestUsageNamesTheCommand(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"--bogus":             "(usage: sse-demo --help)",
		"check":               "(usage: sse-demo check --help)",
		"check --bogus":       "(usage: sse-demo check --help)",
		"healthcheck --bogus": "(usage: sse-demo healthcheck --help)",
	} {
		err := run(t.Context(), strings.Fields(args), io.Discard, io.Discard)
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
	}
}
