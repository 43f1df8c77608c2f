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
		`(?:x){497}`:                   "too large",
		`x{496}`:                       "",
		`x{497}`:                       "too large",
		`x{1000}`:                      "too large",
		`(`:                            "syntax",
		`x{1001}`:                      "syntax",
		"(?:" + strings.Repeat(".?", 120) + "){1000}~": "too large",
		`((((x{100}){10}){10}){10}){10}`:               "syntax",
		`(?:(?:\pL{10}){10}){10}`:                      "too large",
	} {
		re, err := tail.CompileGrep(expr)
		var tooLarge *tail.ProgramError
		var bad *syntax.Error
		got := ""
		switch {
		case errors.As(err, &tooLarge):
			got = "too large"
		case errors.As(err, &bad):
			got = "syntax"
		case err != nil || re == nil:
			got = fmt.Sprint(err)
		}
		if got != want {
			t.Errorf("%.40s: %q, want %q", expr, got, want)
		}
	}
}

// FuzzProgramSize compares the bound with what the expression compiles to.
func FuzzProgramSize(f *testing.F) {
	for _, expr := range []string{
		``, `a`, `abc`, `a*`, `(a*)*`, `(|a)*`, `a+?`, `(a|b|)c?`, `a{0}`, `a{0,3}`, `a{2,}`, `(a{2,5}){0,7}`, `(?i)k{3}`,
		`^$\b\B\A\z`, `(?s).{3}`, `[^\n]{2}x|\pL+`, `()`, `(?:){5}`, `(?P<n>x)(?m:^)`, `[a&&b]`, `x**`, `(?U)x{1,2}`, `[[:^ascii:]]`, `[^\x00-\x{10FFFF}]{9}`,
	} {
		f.Add(expr)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		parsed, err := syntax.Parse(expr, syntax.Perl)
		if err != nil || len(expr) > 256 {
			return
		}
		bound := tail.ProgramSize(parsed)
		if bound > 100*tail.MaxProgram {
			return // would take too long
		}
		program, err := syntax.Compile(parsed.Simplify())
		if err != nil {
			t.Fatal(err)
		}
		if len(program.Inst) > bound {
			t.Errorf("%q: %d instructions, bound %d", expr, len(program.Inst), bound)
		}
	})
}
