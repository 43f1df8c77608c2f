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

// A ProgramError is the error of an expression that would take too long.
type ProgramError struct{ Size int }

func (e *ProgramError) Error() string {
	return fmt.Sprintf("the expression compiles to %d instructions, of which %d are allowed: use smaller counts in {n,m}, or * and + instead",
		e.Size, maxProgram)
}

// CompileGrep compiles an RE2 expression for [Follower.Follow]. The error is a
// [*syntax.Error], or a [*ProgramError] if the program would be too large; it is
// not compiled then.
func CompileGrep(expr string) (*regexp.Regexp, error) {
	parsed, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, err
	}
	if size := programSize(parsed); size > maxProgram {
		return nil, &ProgramError{Size: size}
	}
	return regexp.Compile(expr)
}

// programSize is how many instructions an expression compiles to at the most.
// [syntax.Parse] keeps counted repetitions as they are written; compiling them
// is what takes memory and time.
func programSize(re *syntax.Regexp) int {
	const fail, match = 1, 1 // are in every program
	return fail + match + instructions(re)
}

func instructions(re *syntax.Regexp) int {
	n := 0
	for _, sub := range re.Sub {
		n += instructions(sub)
	}
	switch re.Op {
	case syntax.OpLiteral:
		return max(len(re.Rune), 1)
	case syntax.OpCapture, syntax.OpStar:
		return n + 2
	case syntax.OpPlus, syntax.OpQuest:
		return n + 1
	case syntax.OpConcat:
		return max(n, 1)
	case syntax.OpAlternate:
		return n + len(re.Sub)
	case syntax.OpRepeat: // that many copies, of which those above Min are optional
		return n*max(re.Min, re.Max, 1) + max(re.Max-re.Min, 0) + 2
	default:
		return 1
	}
}
