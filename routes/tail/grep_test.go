package tail_test

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"strings"
	"testing"

	"example.com/sse-demo/routes/tail"
)

func TestCompileGrep(t *testing.T) {
	for expr, want := range map[string]string{
		``:                             "",
		`error|warn`:                   "",
		`(?i)\bstatus=5\d\d\b`:         "",
		`\d{1,3}(\.\d{1,3}){3}`:        "",
		`[0-9a-f]{8}(-[0-9a-f]{4}){3}`: "",
		strings.Repeat("é", 128):       "",
		strings.Repeat("(a)", 85):      "",
		strings.Repeat("a*", 128):      "",
		strings.Repeat("[^b]?", 51):    "",
		`(?:x){499}`:                   "too large",
		`x{498}`:                       "",
		`x{499}`:                       "too large",
		`x{1000}`:                      "too large",
		`(`:                            "syntax",
		`x{1001}`:                      "syntax",
		"(?:" + strings.Repeat(".?", 120) + "){1000}~": "too large",
		`((((x{100}){10}){10}){10}){10}`:               "syntax",
		`(?:(?:\pL{10}){10}){10}`:                      "too large",
	} {
		re, err := tail.CompileGrep(expr)
		var bad *syntax.Error
		got := ""
		switch {
		case errors.As(err, &bad):
			got = "syntax"
		case err != nil && strings.Contains(err.Error(), "instructions"):
			got = "too large"
		case err != nil || re == nil:
			got = fmt.Sprint(err)
		}
		if got != want {
			t.Errorf("%.40s: %q, want %q", expr, got, want)
		}
	}
}
