package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"example.com/sse-demo/pubsub/redisbroker"
	"example.com/sse-demo/routes"
	"example.com/sse-demo/routes/job"
	"example.com/sse-demo/routes/job/relay"
)

// address is the address of the service. The commands serve and healthcheck share
// its flags.
type address struct {
	Addr    string `default:":8000" env:"SSE_ADDR,PORT" help:"Listen address, or a port alone. Port 0 takes a free one; the first log line names it."`
	TLSCert string `name:"tls-cert" placeholder:"FILE" help:"Certificate, with its chain: serve HTTPS, and with it HTTP/2."`
	TLSKey  string `name:"tls-key" placeholder:"FILE" help:"Key of the certificate."`
}

// AfterApply is called by kong when all values are set.
func (a *address) AfterApply() error {
	if isPort(a.Addr) { // as PORT has it
		a.Addr = ":" + a.Addr
	}
	if _, port, err := net.SplitHostPort(a.Addr); err != nil || !isPort(port) {
		return fmt.Errorf("--addr (SSE_ADDR, PORT) must be like :8000, localhost:8000 or 8000, not %q", a.Addr)
	}
	if (a.TLSCert == "") != (a.TLSKey == "") {
		return errors.New("--tls-cert and --tls-key go together")
	}
	return nil
}

func isPort(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}

// flags are the options of serve.
type flags struct {
	address

	LogFile           []logFile     `placeholder:"[NAME=]PATH" sep:"," help:"File that /stream/log may follow; repeatable. NAME is of A-Z a-z 0-9 . _ -; without it, the last element of PATH is the name. Default: the service's own log."`
	Heartbeat         time.Duration `default:"15s" help:"Silence on a stream after which a comment is sent."`
	Retry             time.Duration `default:"3s" help:"Base of the reconnect delay given to clients; each gets it ± 50 % at random."`
	History           int           `default:"1024" help:"Events kept per channel for replay."`
	HistoryBytes      byteCount     `default:"64MiB" help:"Bytes kept over all channels; the least recently used channel goes first."`
	DataFile          string        `placeholder:"FILE" help:"Keep channels and jobs in this file, so that they survive a restart. Not together with --redis-url."`
	MaxStreams        int           `default:"10000" help:"Open streams at once."`
	WriteTimeout      time.Duration `default:"10s" help:"A client that takes no bytes for this long is cut off."`
	ShutdownTimeout   time.Duration `default:"10s" help:"Time that SIGTERM gives open requests."`
	MaxAge            time.Duration `default:"0s" help:"Age at which a stream is ended cleanly, ± 10 % at random, so that its client moves on; 0 for none."`
	TrustedProxy      []network     `placeholder:"CIDR" sep:"," help:"Network of proxies whose X-Forwarded-For names the client in the log; an address alone is a network of one; repeatable."`
	RedisURL          string        `name:"redis-url" placeholder:"URL" help:"Share channels and jobs with other replicas through this Redis, like redis://:password@host:6379/0, or redis://sentinel:26379/0?master_name=NAME. A node of a cluster will do. Better set by the variable if it has a password."`
	RedisHistory      int           `name:"redis-history" default:"100000" help:"Events that the shared stream keeps in Redis."`
	RedisHistoryBytes byteCount     `name:"redis-history-bytes" default:"256MiB" help:"Bytes that the shared stream keeps in Redis; whichever of the two is reached first."`
	AnswerURL         string        `name:"answer-url" placeholder:"URL" help:"Relay the answers of this endpoint of a language model, like http://localhost:11434/v1/chat/completions; SSE_ANSWER_KEY is its key. Default: a canned answer."`
	AnswerAPI         string        `name:"answer-api" default:"auto" enum:"auto,chat,responses,messages" help:"How that endpoint speaks: chat (OpenAI-compatible chat completions), responses (OpenAI), messages (Anthropic), or auto (by the end of its path: /responses, /messages, else chat)."`
	AnswerTimeout     time.Duration `name:"answer-timeout" default:"2m" help:"How long the model may say nothing, before its first byte and between two."`
	AnswerModel       string        `name:"answer-model" placeholder:"NAME" help:"Model that answers."`
	CORSOrigin        []string      `name:"cors-origin" placeholder:"ORIGIN" sep:"," help:"Origin of another site whose pages may use the service, like https://example.com; repeatable."`
	JWTSecret         *string       `name:"jwt-secret" placeholder:"SECRET" help:"Ask for HS256 tokens signed with this; at least 32 bytes. Better set by the variable, which others cannot see."`
	JWTAudience       string        `name:"jwt-audience" placeholder:"NAME" help:"Accept tokens for this audience only (their aud). Without it, those with an aud are refused."`
	LogLevel          logLevel      `default:"info" help:"Lowest level that is logged: trace, debug, info, warn, error."`
	LogFormat         string        `default:"auto" enum:"auto,json,console" help:"Format of the log on stderr: json, console, or auto (console on a terminal)."`

	answers job.Kind // jobs that relay the answers of AnswerURL
}

// AfterApply is called by kong when all values are set.
func (f *flags) AfterApply() error {
	if err := f.address.AfterApply(); err != nil {
		return err
	}
	names := map[string]bool{}
	for _, file := range f.LogFile {
		if names[file.name] {
			return fmt.Errorf("--log-file: two files are named %q; write NAME=PATH to tell them apart", file.name)
		}
		names[file.name] = true
	}
	for _, origin := range f.CORSOrigin {
		if err := checkOrigin(origin); err != nil {
			return fmt.Errorf("--cors-origin must be like https://example.com: %w", err)
		}
	}
	if f.RedisURL != "" {
		if err := redisbroker.CheckURL(f.RedisURL); err != nil {
			return fmt.Errorf("--redis-url must be like redis://:password@host:6379/0: %w", err)
		}
	}
	if f.AnswerURL != "" {
		var err error
		if f.answers, err = relay.New(f.upstream()); err != nil {
			return fmt.Errorf("--answer-url: %w", err)
		}
	}
	switch {
	case f.RedisURL != "" && f.DataFile != "":
		return errors.New("--data-file and --redis-url exclude each other: Redis keeps the events itself")
	case f.AnswerModel != "" && f.AnswerURL == "":
		return errors.New("--answer-model needs --answer-url")
	case f.JWTSecret != nil && len(*f.JWTSecret) < routes.MinSecret: // one that is empty by mistake would open the service to everybody
		return fmt.Errorf("--jwt-secret must be at least %d bytes; leave it out to serve without tokens", routes.MinSecret)
	case f.JWTAudience != "" && f.JWTSecret == nil:
		return errors.New("--jwt-audience needs --jwt-secret")
	}
	return f.checkRanges()
}

func (f *flags) checkRanges() error {
	const ms = time.Millisecond // of SSE-Heartbeat and retry
	return cmp.Or(
		within("--heartbeat", f.Heartbeat, ms, 0),
		within("--retry", f.Retry, ms, 24*time.Hour), // ten times as much must not overflow
		within("--history", f.History, 1, 0),
		within("--history-bytes", f.HistoryBytes, 1, math.MaxInt),
		within("--max-streams", f.MaxStreams, 1, 0),
		within("--write-timeout", f.WriteTimeout, ms, 0),
		within("--shutdown-timeout", f.ShutdownTimeout, 0, 0),
		within("--max-age", f.MaxAge, 0, 0),
		within("--redis-history", f.RedisHistory, 1, 0),
		within("--redis-history-bytes", f.RedisHistoryBytes, 1, 0),
		within("--answer-timeout", f.AnswerTimeout, ms, 0),
	)
}

// within returns an error that names the flag and its range, unless value is in it. A
// most of 0 is no limit.
func within[T cmp.Ordered](flag string, value, least, most T) error {
	var none T
	switch {
	case value < least && most == none:
		return fmt.Errorf("%s must be at least %v, not %v", flag, least, value)
	case value < least || value > most && most != none:
		return fmt.Errorf("%s must be %v to %v, not %v", flag, least, most, value)
	}
	return nil
}

// upstream is the model that --answer-url names. Its key has no flag, because others
// can see those.
func (f *flags) upstream() relay.Upstream {
	return relay.Upstream{
		URL: f.AnswerURL, API: f.AnswerAPI, Model: f.AnswerModel, Silence: f.AnswerTimeout,
		Key: strings.TrimSpace(os.Getenv("SSE_ANSWER_KEY")), // a file that it was read from ends with a newline
	}
}

func (f *flags) trustedProxies() (networks []*net.IPNet) {
	for i := range f.TrustedProxy {
		networks = append(networks, &f.TrustedProxy[i].IPNet)
	}
	return networks
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
