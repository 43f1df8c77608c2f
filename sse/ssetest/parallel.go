package ssetest

import (
	"flag"
	"strconv"
)

// SetParallel lets so many tests that call t.Parallel run at once, unless the flag
// -parallel says how many. It is for TestMain of a package whose tests mostly wait,
// for processes or for time: as many as there are processors would leave these idle.
func SetParallel(atOnce int) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", strconv.Itoa(atOnce))
	}
}
