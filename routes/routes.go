// Package routes serves the HTTP interface: the streams, publishing, jobs, health
// and metrics. Each route is a file. They share the stream (stream.go), the limits and
// the shutdown (gate.go, answer.go), and how requests are read (input.go, rules.go).
package routes

import (
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/routes/job"
	"example.com/sse-demo/routes/market"
	"example.com/sse-demo/sse"
)

// Config is what a Server serves, and how.
type Config struct {
	Stream     sse.Options
	MaxStreams int // open at once
	Version    string
	Logger     zerolog.Logger
	Broker     pubsub.Broker
	BrokerKind string // for /health: memory, file or redis
	Jobs       *job.Manager
	Logs       []LogFile              // the first is the default
	Serve      Serve                  // nil is sse.Serve
	Collectors []prometheus.Collector // metrics of others, for /metrics

	MaxAge         time.Duration // of a stream, ± 10 %; 0 for no limit
	JWTSecret      []byte        // ask for tokens; nil for none
	JWTAudience    string        // accept only tokens for this audience; "" accepts only those for none
	CORSOrigins    []string      // of other sites whose pages may use the streams, publish and start jobs, as browsers send them
	TrustedProxies []*net.IPNet  // whose X-Forwarded-For names the client in log lines
}

// Serve answers a request with an event stream, as sse.Serve does.
type Serve = func(http.ResponseWriter, *http.Request, sse.Source, sse.Options) error

// A Server is the HTTP handler of the service.
type Server struct {
	config  Config
	echo    *echo.Echo
	metrics *metrics
	started time.Time
	market  *market.Market
	gate    *gate

	crossOrigin http.CrossOriginProtection
}

// New returns a server, to be ended by Drain and Wait.
func New(config Config) *Server {
	if config.Serve == nil {
		config.Serve = sse.Serve
	}
	s := &Server{
		config:  config,
		echo:    echo.New(),
		started: time.Now(),
		market:  market.New(),
		gate:    newGate(config.MaxStreams),
	}
	s.metrics = newMetrics(&config)
	s.echo.HTTPErrorHandler = s.answerError
	s.echo.IPExtractor = clientAddress(config.TrustedProxies)
	for _, origin := range config.CORSOrigins {
		_ = s.crossOrigin.AddTrustedOrigin(origin) // it fails for what no browser sends
	}
	s.echo.Use(
		middleware.RecoverWithConfig(middleware.RecoverConfig{LogErrorFunc: s.logPanic}),
		allowOrigins(config.CORSOrigins), s.admit,
	)
	s.addRoutes()
	return s
}

// reads are the methods that change nothing.
var reads = []string{http.MethodGet, http.MethodHead}

func (s *Server) addRoutes() {
	s.echo.Match(reads, "/", s.page)
	s.echo.Match(reads, "/assets/:name", s.asset)
	streams := map[string]echo.HandlerFunc{ // by the names that metrics, logs, /health and tokens have, too
		tickStream:     s.tick,
		logStream:      s.log,
		progressStream: s.progress,
		channelStream:  s.channel,
	}
	for name, handler := range streams {
		s.metrics.addStream(name)
		s.echo.Match(reads, "/stream/"+name, handler, s.authenticate)
	}
	s.echo.POST("/publish", s.publish, s.authenticate)
	s.echo.POST("/jobs", s.startJob, s.authenticate)
	s.echo.DELETE("/jobs/:id", s.cancelJob, s.authenticate)
	s.echo.Match(reads, "/health", s.health)
	s.echo.Match(reads, "/openapi.json", s.describe)
	s.echo.Match(reads, "/metrics", echo.WrapHandler(promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{})))
}

// clientAddress finds the client's address for log lines. Anybody can send a forwarded
// header, so only trusted proxies are believed.
func clientAddress(proxies []*net.IPNet) echo.IPExtractor {
	trust := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, network := range proxies {
		trust = append(trust, echo.TrustIPRange(network))
	}
	return echo.ExtractIPFromXFFHeader(trust...)
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if s.gate.begin(&s.gate.open) {
		defer s.gate.open.Done()
	}
	s.echo.ServeHTTP(s.newAnswer(w, r), r)
}

// admit refuses requests whose body was not read, and those that would publish, or start or
// cancel jobs, if a page of another site sends them or the service is shutting down.
func (s *Server) admit(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		switch {
		case answerOf(c).bodyErr != nil:
			return answerOf(c).bodyErr
		case s.crossOrigin.Check(r) != nil:
			return errCrossSite
		case !slices.Contains(reads, r.Method) && s.gate.isDraining():
			return errDraining
		}
		return next(c)
	}
}

func (s *Server) logPanic(c echo.Context, err error, stack []byte) error {
	s.metrics.panics.Add(1)
	s.config.Logger.Error().Err(err).Str("route", c.Path()).Bytes("stack", stack).Msg("a handler panicked")
	return errFailed
}
