package web_test

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/security"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/rs/zerolog"

	"example.com/sse-demo/deploy/browsertest"
	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/routes"
	"example.com/sse-demo/routes/job"
	"example.com/sse-demo/routes/tail"
	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/ssetest"
	"example.com/sse-demo/web"
)

// patience is how long a test waits for what should come soon, also on a machine that
// is very busy.
const patience = 2 * time.Minute

// service is the real handler on a real port, which stays the same over restarts.
type service struct {
	*testing.T
	addr    string
	logFile string
	stop    func()
	running *http.Server
	secret  []byte

	heartbeat  time.Duration // 10 s if 0: on a busy machine no stream should be taken for dead
	maxStreams int           // 100 if 0

	files map[string][]string // by name of a file of the page: texts that it has, each with what is to be in its place

	jobsStarted atomic.Int64
	dropTicks   atomic.Int64                 // writes of ticks that do not arrive
	held        atomic.Pointer[heldRequests] // requests that wait
}

// heldRequests are those whose URL has a text: they wait until it is closed.
type heldRequests struct {
	text    string
	release chan struct{}
	seen    atomic.Int64
	over    atomic.Int64
}

// hold lets the requests wait whose URL has the text, until release is called.
func (s *service) hold(text string) (held *heldRequests, release func()) {
	held = &heldRequests{text: text, release: make(chan struct{})}
	s.held.Store(held)
	release = sync.OnceFunc(func() { close(held.release) })
	s.Cleanup(release)
	return held, release
}

func startService(t *testing.T, changes ...func(s *service)) *service {
	s := &service{T: t, addr: ssetest.FreeAddr(t), logFile: filepath.Join(t.TempDir(), "app.log"), stop: func() {}}
	for _, change := range changes {
		change(s)
	}
	t.Cleanup(func() { s.stop() })
	s.start()
	return s
}

// everySecond makes the service send a heartbeat after a second of silence.
func everySecond(s *service) { s.heartbeat = time.Second }

func (s *service) start() {
	s.Helper()
	listener := ssetest.Listen(s, s.addr)
	follower := tail.New(s.logFile, zerolog.Nop())
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { follower.Run(ctx) })
	broker := pubsub.NewMemory(1024, 64<<20)
	jobs := job.NewManager(zerolog.Nop(), job.NewJournal())
	handler := routes.New(routes.Config{
		Stream:     sse.Options{Retry: 200 * time.Millisecond, Heartbeat: cmp.Or(s.heartbeat, 10*time.Second), WriteTimeout: 10 * time.Second},
		MaxStreams: cmp.Or(s.maxStreams, 100),
		Version:    "test",
		BrokerKind: "memory",
		Logger:     zerolog.Nop(),
		Broker:     broker,
		Jobs:       jobs,
		JWTSecret:  s.secret,
		Logs:       []routes.LogFile{{Name: "app", Tail: follower}},
	})
	server := &http.Server{Handler: s.watch(handler), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	running.Go(func() { _ = server.Serve(listener) })
	s.running = server
	s.stop = func() {
		handler.Drain()
		_ = server.Close()
		jobs.Close()
		cancel()
		running.Wait()
		s.stop = func() {}
	}
}

// watch counts the jobs that are started, and does to requests what the test has asked for.
func (s *service) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Path == "/jobs" {
			s.jobsStarted.Add(1)
		}
		if held := s.held.Load(); held != nil && strings.Contains(r.URL.String(), held.text) {
			held.seen.Add(1)
			<-held.release
			defer held.over.Add(1)
		}
		if r.URL.Path == "/stream/tick" {
			w = &lossyWriter{w, &s.dropTicks}
		}
		if name := cmp.Or(strings.TrimPrefix(path.Base(r.URL.Path), "/"), "index.html"); s.files[name] != nil {
			s.serveChanged(w, name)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// serveChanged serves a file of the page with texts replaced: each that is at an
// even place by the one after it.
func (s *service) serveChanged(w http.ResponseWriter, name string) {
	source, err := web.Files.ReadFile(name)
	if err != nil {
		s.Error(err)
	}
	text := string(source)
	for change := range slices.Chunk(s.files[name], 2) {
		if !strings.Contains(text, change[0]) {
			s.Errorf("%s has no %q", name, change[0])
		}
		text = strings.Replace(text, change[0], change[1], 1)
	}
	w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	_, _ = io.WriteString(w, text)
}

// lossyWriter drops ticks, as a faulty proxy may.
type lossyWriter struct {
	http.ResponseWriter
	drop *atomic.Int64
}

func (w *lossyWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *lossyWriter) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("event: tick")) && w.drop.Add(-1) >= 0 {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}

func (s *service) publish(channel, payload string) {
	s.Helper()
	body := fmt.Sprintf(`{"channel":%q,"payload":%s}`, channel, payload)
	request, err := http.NewRequestWithContext(s.Context(), http.MethodPost, "http://"+s.addr+"/publish", strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if s.secret != nil {
		request.Header.Set("Authorization", "Bearer "+s.token(time.Hour))
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		s.Fatal(response.Status)
	}
}

func (s *service) writeLog(line string) {
	s.Helper()
	file, err := os.OpenFile(s.logFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		s.Fatal(err)
	}
	if _, err := file.WriteString(line + "\n"); err != nil {
		s.Fatal(err)
	}
	_ = file.Close()
}

// browser is a profile of the Chromium that the tests share.
type browser struct{ *browsertest.Profile }

func startBrowser(t *testing.T) *browser {
	t.Helper()
	return &browser{browsertest.NewProfile(t)}
}

func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "6") // -parallel wins; the tests mostly wait for processes
	code := m.Run()
	browsertest.End()
	os.Exit(code)
}

// tab is one tab, with what went wrong in it.
type tab struct {
	*testing.T
	ctx    context.Context //nolint:containedctx // chromedp keeps the tab in it
	mu     sync.Mutex
	errors []string
	urls   []string
}

func (b *browser) open(s *service, actions ...chromedp.Action[chromedp.Void]) *tab {
	s.Helper()
	p := &tab{T: s.T, ctx: b.NewTab(s.T)}
	if err := chromedp.Listen(p.ctx, p.note); err != nil {
		s.Fatal(err)
	}
	call(p, network.Enable, network.EnableParams{})
	call(p, log.Enable, cdp.Empty{})
	p.do(append(actions, chromedp.Navigate("http://"+s.addr+"/"))...)
	return p
}

func (p *tab) note(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		p.errors = append(p.errors, e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "warning" {
			p.errors = append(p.errors, fmt.Sprintf("console: %s", e.Args[0].Value))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == "error" {
			p.errors = append(p.errors, e.Entry.Text+" "+e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		p.urls = append(p.urls, e.Request.URL)
	}
}

// clean fails the test if the console has an error, or something came from
// elsewhere.
func (p *tab) clean(s *service) {
	p.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.errors) > 0 {
		p.Errorf("errors in the console: %q", p.errors)
	}
	for _, url := range p.urls {
		if !strings.HasPrefix(url, "http://"+s.addr+"/") {
			p.Errorf("a request to elsewhere: %s", url)
		}
	}
	if len(p.urls) < 5 {
		p.Errorf("the page loaded %q only", p.urls)
	}
}

// within calls f with a context that ends after the test's patience.
func within[T any](p *tab, f func(ctx context.Context) (T, error)) T {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	value, err := f(ctx)
	if err != nil {
		p.Fatal(err)
	}
	return value
}

func run[T any](p *tab, action chromedp.Action[T]) T {
	p.Helper()
	return within(p, func(ctx context.Context) (T, error) { return chromedp.Run(ctx, action) })
}

func call[P, R any](p *tab, command cdp.Command[P, R], params P) R {
	p.Helper()
	return within(p, func(ctx context.Context) (R, error) { return chromedp.Call(ctx, command, params) })
}

func (p *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	p.Helper()
	run(p, chromedp.Steps(actions...))
}

// eval returns the value of an expression as text.
func (p *tab) eval(expression string) string {
	p.Helper()
	return run(p, chromedp.Evaluate[string]("String("+expression+")"))
}

// until waits for an expression to be true. While the page is loaded anew there
// is nothing that it could be asked of, which is no error.
func (p *tab) until(expression string) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+expression+")")); err == nil && ok {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			text, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](summary))
			p.mu.Lock()
			defer p.mu.Unlock()
			p.Fatalf("waited in vain for %s: %v\n%s\n%q", expression, err, text, p.errors)
		}
	}
}

// seen is an expression for the payloads that the channel panel lists.
const seen = `[...document.querySelectorAll(".events li:not(.notice) .data")].map((e) => e.textContent).join()`

// summary is what the page shows, in short.
const summary = `[document.querySelector("header").dataset.status, ...[...document.querySelectorAll("section")].map((e) =>
	[e.dataset.stream, e.dataset.state, ...[".freshness", ".problem", ".summary", ".job-notice", "[role=log]", ".wire pre"].flatMap((s) =>
		[...e.querySelectorAll(s)].map((e) => e.textContent.slice(-300)).filter(Boolean))].join(" | "))].join("\n")`

func state(stream, state string) string {
	return fmt.Sprintf(`document.querySelector('section[data-stream="%s"]').dataset.state === "%s"`, stream, state)
}

// click clicks a button of a panel; a disabled one does nothing.
func (p *tab) click(stream, action string) {
	p.Helper()
	p.eval(in(stream, fmt.Sprintf(`button[data-action="%s"]`, action)) + ".click()")
}

// fill puts a text into a field of a form.
func (p *tab) fill(form, name, text string) {
	p.Helper()
	p.eval(fmt.Sprintf(`document.querySelector(%q).value = %q`, fmt.Sprintf(`%s [name="%s"]`, form, name), text))
}

func (p *tab) publish(channel, payload string) {
	p.Helper()
	const form = `form[data-action="publish"]`
	p.fill(form, "channel", channel)
	p.fill(form, "payload", payload)
	p.eval(fmt.Sprintf("document.querySelector(%q).click()", form+" button"))
}

// showsNoProblem fails the test if a panel shows a problem that is over.
func (p *tab) showsNoProblem(stream string) {
	p.Helper()
	if got := p.eval(text(stream, `[role="alert"]`)); got != "" {
		p.Errorf("the panel %s says %q", stream, got)
	}
}

// hasWorker reports whether the page's SharedWorker runs.
func (b *browser) hasWorker(s *service) bool {
	s.Helper()
	targets, err := chromedp.Targets(b.Chromium)
	if err != nil {
		s.Fatal(err)
	}
	return slices.ContainsFunc(targets, func(info *target.Info) bool {
		return info.Type == "shared_worker" && strings.Contains(info.URL, s.addr)
	})
}

// trusting accepts the certificate of a test's server.
var trusting = chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
	_, err := cdp.Call(ctx, t, security.SetIgnoreCertificateErrors, security.SetIgnoreCertificateErrorsParams{Ignore: true})
	return err
})

// withoutScripts keeps the page's own streams out of the way.
var withoutScripts = chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
	_, err := cdp.Call(ctx, t, network.SetBlockedURLs, network.SetBlockedURLsParams{
		URLPatterns: []*network.BlockPattern{{URLPattern: "*://*:*/assets/app.js", Block: true}},
	})
	return err
})

// beforeScripts runs a script before those of the page.
func beforeScripts(script string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
		return err
	})
}
