package main

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/units"
	"github.com/rs/zerolog"

	"example.com/sse-demo/pubsub/redisbroker"
	"example.com/sse-demo/routes"
	"example.com/sse-demo/routes/tail"
)

// flags are the options of the service. Each can be set by a flag, or by the
// environment variable SSE_<NAME>.
type flags struct {
	Addr              string        `default:":8000" env:"SSE_ADDR,PORT" help:"Listen address, or a port alone. Port 0 takes a free one; the first log line names it."`
	LogFile           []logFile     `placeholder:"[NAME=]PATH" sep:"," help:"File that /stream/log may follow; repeatable. Default: the service's own log."`
	Heartbeat         time.Duration `default:"15s" help:"Silence on a stream after which a comment is sent."`
	Retry             time.Duration `default:"3s" help:"Base of the reconnect delay given to clients; each gets it ± 50 % at random."`
	History           int           `default:"1024" help:"Events kept per channel for replay."`
	HistoryBytes      byteCount     `default:"64MiB" help:"Bytes kept over all channels; the least recently used channel goes first."`
	MaxStreams        int           `default:"10000" help:"Open streams at once."`
	WriteTimeout      time.Duration `default:"10s" help:"A client that takes no bytes for this long is cut off."`
	ShutdownTimeout   time.Duration `default:"10s" help:"Time that SIGTERM gives open requests."`
	MaxAge            time.Duration `default:"0s" help:"Age at which a stream is ended cleanly, ± 10 % at random, so that its client moves on; 0 for none."`
	TrustedProxy      []network     `placeholder:"CIDR" sep:"," help:"Network of proxies whose X-Forwarded-For names the client in the log; an address alone is a network of one; repeatable."`
	RedisURL          string        `name:"redis-url" placeholder:"URL" help:"Share channels and jobs with other replicas through this Redis, like redis://:password@host:6379/0, or redis://sentinel:26379/0?master_name=NAME. Better set by the variable if it has a password."`
	RedisHistory      int           `name:"redis-history" default:"100000" help:"Events that the shared stream keeps in Redis."`
	RedisHistoryBytes byteCount     `name:"redis-history-bytes" default:"256MiB" help:"Bytes that the shared stream keeps in Redis; whichever of the two is reached first."`
	AnswerURL         string        `name:"answer-url" placeholder:"URL" help:"Relay the answers of this OpenAI-compatible chat completions endpoint, like http://localhost:11434/v1/chat/completions; SSE_ANSWER_KEY is its bearer token. Default: a canned answer."`
	AnswerModel       string        `name:"answer-model" placeholder:"NAME" help:"Model that answers."`
	TLSCert           string        `name:"tls-cert" placeholder:"FILE" help:"Certificate, with its chain: serve HTTPS, and with it HTTP/2."`
	TLSKey            string        `name:"tls-key" placeholder:"FILE" help:"Key of the certificate."`
	CORSOrigin        []string      `name:"cors-origin" placeholder:"ORIGIN" sep:"," help:"Origin of another site whose pages may use the service, like https://example.com; repeatable."`
	JWTSecret         secret        `name:"jwt-secret" placeholder:"SECRET" help:"Ask for HS256 tokens signed with this; at least 32 bytes. Better set by the variable, which others cannot see."`
	LogLevel          logLevel      `default:"info" help:"Lowest level that is logged: trace, debug, info, warn, error."`
	LogFormat         string        `default:"auto" enum:"auto,json,console" help:"Format of the log on stderr: json, console, or auto (console on a terminal)."`
}

// AfterApply is called by kong when all values are set.
func (f *flags) AfterApply() error {
	if _, err := strconv.ParseUint(f.Addr, 10, 16); err == nil { // as PORT has it
		f.Addr = ":" + f.Addr
	}
	if _, port, err := net.SplitHostPort(f.Addr); err != nil || port == "" {
		return fmt.Errorf("--addr (SSE_ADDR, PORT) must be like :8000, localhost:8000 or 8000, not %q", f.Addr)
	}
	return f.check()
}

func (f *flags) check() error {
	names := map[string]bool{}
	for _, file := range f.LogFile {
		if names[file.name] {
			return fmt.Errorf("--log-file: two files are named %q; write NAME=PATH to tell them apart", file.name)
		}
		names[file.name] = true
	}
	if f.RedisURL != "" {
		if err := redisbroker.CheckURL(f.RedisURL); err != nil {
			return fmt.Errorf("--redis-url must be like redis://:password@host:6379/0: %w", err)
		}
	}
	if err := f.checkAnswers(); err != nil {
		return err
	}
	for _, origin := range f.CORSOrigin {
		if err := checkOrigin(origin); err != nil {
			return fmt.Errorf("--cors-origin must be like https://example.com: %w", err)
		}
	}
	switch {
	case f.Heartbeat < time.Millisecond: // SSE-Heartbeat has milliseconds
		return errors.New("--heartbeat must be at least 1ms")
	case f.Retry < time.Millisecond || f.Retry > 24*time.Hour: // ten times as much must not overflow
		return errors.New("--retry must be 1ms to 24h")
	case f.History < 1:
		return errors.New("--history must be at least 1")
	case f.HistoryBytes < 1 || int64(f.HistoryBytes) > math.MaxInt:
		return fmt.Errorf("--history-bytes must be 1 to %d", math.MaxInt)
	case f.RedisHistory < 1:
		return errors.New("--redis-history must be at least 1")
	case f.RedisHistoryBytes < 1:
		return errors.New("--redis-history-bytes must be at least 1")
	case f.MaxStreams < 1:
		return errors.New("--max-streams must be at least 1")
	case f.WriteTimeout <= 0:
		return errors.New("--write-timeout must be above 0")
	case (f.TLSCert == "") != (f.TLSKey == ""):
		return errors.New("--tls-cert and --tls-key go together")
	case f.JWTSecret != "" && len(f.JWTSecret) < routes.MinSecret:
		return fmt.Errorf("--jwt-secret must be at least %d bytes", routes.MinSecret)
	case f.MaxAge < 0:
		return errors.New("--max-age must not be negative")
	case f.ShutdownTimeout < 0:
		return errors.New("--shutdown-timeout must not be negative")
	}
	return nil
}

// checkOrigin also refuses what no browser sends, because it would never match, and
// patterns, which Echo would take for reading, and net/http would not for writing.
func checkOrigin(origin string) error {
	if err := http.NewCrossOriginProtection().AddTrustedOrigin(origin); err != nil {
		return err
	}
	u, err := url.Parse(origin)
	if err != nil {
		return err
	}
	isDefault := u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80"
	if strings.Contains(u.Host, "*") || isDefault || u.Scheme+"://"+strings.ToLower(u.Host) != origin {
		return fmt.Errorf("%q is not as browsers send it: in lower case, without a default port, and one origin, no pattern", origin)
	}
	return nil
}

// secret is set, or is not given: a variable that is empty by mistake must not
// open the service to everybody.
type secret string

// UnmarshalText refuses an empty one. Whether it is long enough is said later,
// without the value in the message.
func (s *secret) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return errors.New("it is empty; leave it out to serve without tokens")
	}
	*s = secret(text)
	return nil
}

// byteCount is a number of bytes, with or without a unit.
type byteCount int64

// UnmarshalText implements [encoding.TextUnmarshaler].
func (b *byteCount) UnmarshalText(text []byte) error {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		var size units.Base2Bytes
		if size, err = units.ParseBase2Bytes(string(text)); err != nil {
			return fmt.Errorf("it must be a number of bytes, like 1000000 or 64MiB, not %q", text)
		}
		n = int64(size)
	}
	*b = byteCount(n)
	return nil
}

// network is a block of addresses.
type network struct{ net.IPNet }

// UnmarshalText reads a CIDR (RFC 4632), or an address alone.
func (n *network) UnmarshalText(text []byte) error {
	prefix, err := netip.ParsePrefix(string(text))
	if err != nil {
		address, err := netip.ParseAddr(string(text))
		if err != nil || address.Zone() != "" {
			return fmt.Errorf("%q must be a network like 10.0.0.0/8, or an address", text)
		}
		address = address.Unmap()
		prefix = netip.PrefixFrom(address, address.BitLen())
	}
	prefix = prefix.Masked()
	n.IPNet = net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen())}
	return nil
}

func (f *flags) trustedProxies() (networks []*net.IPNet) {
	for i := range f.TrustedProxy {
		networks = append(networks, &f.TrustedProxy[i].IPNet)
	}
	return networks
}

// logLevel is a level by its name in zerolog.
type logLevel zerolog.Level

// UnmarshalText refuses what zerolog takes for no level at all.
func (l *logLevel) UnmarshalText(text []byte) error {
	level, err := zerolog.ParseLevel(string(text))
	if err != nil || len(text) == 0 {
		return errors.New("it must be trace, debug, info, warn, error, fatal, panic or disabled")
	}
	*l = logLevel(level)
	return nil
}

// logFile is a file and the name that clients know it by.
type logFile struct{ name, path string }

// namedPath is NAME=PATH. A slash before the = makes it a path with one in it.
var namedPath = regexp.MustCompile(`^([A-Za-z0-9._-]+)=(.*)$`)

// UnmarshalText reads PATH or NAME=PATH; the name of a bare path is its last
// element.
func (f *logFile) UnmarshalText(text []byte) error {
	f.path = string(text)
	f.name = filepath.Base(f.path)
	if m := namedPath.FindStringSubmatch(f.path); m != nil {
		f.name, f.path = m[1], m[2]
	}
	if f.path == "" {
		return errors.New("the path is empty")
	}
	return tail.Check(f.path)
}
