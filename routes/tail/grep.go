package tail

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"runtime"
)

// maxProgram bounds the instructions of a compiled expression. A match takes up
// to 12 ns for each instruction and byte, so a line of [MaxLine] bytes takes
// 0.4 s at the most. An expression of 256 bytes without counted repetition
// always compiles to fewer.
const maxProgram = 500

// matching has a slot for each search that may match lines at the same time: half of
// the processors are left to the streams.
var matching = make(chan struct{}, max(runtime.GOMAXPROCS(0)/2, 1))

var errTooLarge = fmt.Errorf("the expression compiles to more than %d instructions: use smaller counts in {n,m}, or * and + instead", maxProgram)

// CompileGrep compiles an RE2 expression for [Follower.Follow]. The error is a
// [*syntax.Error], or another one if the program would be too large.
func CompileGrep(expr string) (*regexp.Regexp, error) {
	parsed, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, err
	}
	if unrolled(parsed) > 4*maxProgram { // compiling it would take memory and time
		return nil, errTooLarge
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, err
	}
	if len(program.Inst) > maxProgram {
		return nil, errTooLarge
	}
	return regexp.Compile(expr)
}

// unrolled is about the size of an expression with its counted repetitions written out.
// A program is at most twice as large.
func unrolled(re *syntax.Regexp) int {
	size := 1
	if re.Op == syntax.OpLiteral {
		size = len(re.Rune)
	}
	for _, sub := range re.Sub {
		size += unrolled(sub)
	}
	if re.Op == syntax.OpRepeat {
		size *= max(re.Min, re.Max, 1)
	}
	return size
}
