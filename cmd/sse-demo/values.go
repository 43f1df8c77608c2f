package main

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/rs/zerolog"

	"example.com/sse-demo/routes/tail"
)

// byteCount is a number of bytes, with or without a unit.
type byteCount int64

// byteUnits are powers of 1024, whichever way they are written.
var byteUnits = map[string]int64{
	"": 1, "B": 1,
	"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
	"KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40,
}

// UnmarshalText reads digits and a unit.
func (b *byteCount) UnmarshalText(text []byte) error {
	digits := strings.TrimRight(string(text), "BiKMGT")
	unit, isUnit := byteUnits[string(text[len(digits):])]
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || !isUnit || int64(n) > math.MaxInt64/unit {
		return fmt.Errorf("it must be a number of bytes, like 1000000 or 64MiB, not %q", text)
	}
	*b = byteCount(int64(n) * unit)
	return nil
}

// network is a block of addresses.
type network struct{ net.IPNet }

// UnmarshalText reads a CIDR (RFC 4632), or an address alone.
func (n *network) UnmarshalText(text []byte) error {
	cidr := string(text)
	if address, err := netip.ParseAddr(cidr); err == nil {
		cidr = fmt.Sprintf("%s/%d", address, address.BitLen())
	}
	_, block, err := net.ParseCIDR(cidr)
	if err != nil {
		return fmt.Errorf("%q must be a network like 10.0.0.0/8, or an address", text)
	}
	n.IPNet = *block
	return nil
}

// logLevel is a level as zerolog names it.
type logLevel struct{ zerolog.Level }

// UnmarshalText refuses no text, which zerolog takes for no level at all.
func (l *logLevel) UnmarshalText(text []byte) (err error) {
	l.Level, err = zerolog.ParseLevel(string(text))
	if err != nil || len(text) == 0 {
		return fmt.Errorf("it must be trace, debug, info, warn, error, fatal, panic or disabled, not %q", text)
	}
	return nil
}

// logFile is a file and the name that clients know it by.
type logFile struct{ name, path string }

var logFileName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// UnmarshalText reads PATH or NAME=PATH; the name of a bare path is its last
// element. A slash before the = makes it a path with one in it.
func (f *logFile) UnmarshalText(text []byte) error {
	f.path = string(text)
	f.name = filepath.Base(f.path)
	name, path, isNamed := strings.Cut(f.path, "=")
	if isNamed && !strings.Contains(filepath.ToSlash(name), "/") {
		if !logFileName.MatchString(name) {
			return fmt.Errorf("the name %q before the = must be of A-Z a-z 0-9 . _ -; a path with a = begins with ./ or /", name)
		}
		f.name, f.path = name, path
	}
	if f.path == "" {
		return errors.New("the path is empty")
	}
	return tail.Check(f.path)
}
