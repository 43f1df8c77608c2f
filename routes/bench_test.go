package routes_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/rs/zerolog"

	"example.com/sse-demo/routes"
	"example.com/sse-demo/routes/job"
)

// BenchmarkPublish is the time that POST /publish takes over TCP: the median, and
// the 99th percentile. An Echo handler that decodes the same JSON and does nothing
// is the floor. The service and its subscribers are processes of their own.
// Stalled subscribers have stopped reading.
func BenchmarkPublish(b *testing.B) {
	b.Run("empty Echo handler", func(b *testing.B) {
		measurePublish(b, child(b, "echo"), func() {})
	})
	b.Run("0 subscribers", func(b *testing.B) {
		measurePublish(b, child(b, "service"), func() {})
	})
	b.Run("100 stalled", func(b *testing.B) {
		url := child(b, "service")
		for range 100 {
			conn := subscribe(url)
			defer func() { _ = conn.Close() }()
		}
		for range 150 { // 9 MB: more than the sockets take
			post(b, url, 60_000)
		}
		measurePublish(b, url, func() {})
	})
	for name, n := range map[string]string{"0 subscribers, 20 a second": "0", "5000 subscribers, 20 a second": "5000"} {
		b.Run(name, func(b *testing.B) {
			url := child(b, "service")
			child(b, "read", n, url)
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			measurePublish(b, url, func() { <-tick.C })
		})
	}
}

// measurePublish posts; before is called outside of the time.
func measurePublish(b *testing.B, url string, before func()) {
	b.Helper()
	b.ReportAllocs()
	var took []time.Duration
	for b.Loop() {
		before()
		began := time.Now()
		post(b, url, 100)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1000, "µs-median")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1000, "µs-p99")
}

func post(b *testing.B, url string, size int) {
	b.Helper()
	body := `{"channel":"a","payload":"` + strings.Repeat("x", size) + `"}`
	request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url+"/publish", strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		b.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
}

// subscribe opens a stream by hand.
func subscribe(url string) net.Conn {
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://")) //nolint:noctx // the caller closes it
	if err != nil {
		panic(err)
	}
	_, _ = io.WriteString(conn, "GET /stream/channel?name=a HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err := conn.Read(make([]byte, 512)); err != nil {
		panic(err)
	}
	return conn
}

// childEnv makes the test binary do what it says, until it is killed.
const childEnv = "SSE_BENCH_CHILD"

func TestMain(m *testing.M) {
	what := strings.Fields(os.Getenv(childEnv))
	if len(what) == 0 {
		os.Exit(m.Run())
	}
	switch what[0] {
	case "echo":
		_, _ = fmt.Println(httptest.NewServer(emptyEcho()).URL) //nolint:forbidigo // the parent reads it
	case "service":
		config := options()
		config.Stream.WriteTimeout = time.Hour // who is stalled stays so
		config.Logger = zerolog.Nop()
		config.Broker = fresh(config.Broker)
		config.Jobs = job.NewManager(config.Logger, config.Broker)
		app, err := routes.New(config)
		if err != nil {
			panic(err)
		}
		_, _ = fmt.Println(httptest.NewServer(app).URL) //nolint:forbidigo // the parent reads it
	case "read":
		n, _ := strconv.Atoi(what[1])
		for range n {
			conn := subscribe(what[2])
			go func() { _, _ = io.Copy(io.Discard, conn) }()
		}
		_, _ = fmt.Println("ready") //nolint:forbidigo // the parent reads it
	}
	select {}
}

func emptyEcho() http.Handler {
	app := echo.New()
	app.POST("/publish", func(c echo.Context) error {
		var p struct {
			Channel string          `json:"channel"`
			Payload json.RawMessage `json:"payload"`
		}
		if err := c.Bind(&p); err != nil {
			return err
		}
		return c.NoContent(http.StatusOK)
	})
	return app
}

// child runs a process until the benchmark ends, and returns its first line.
func child(b *testing.B, what ...string) string {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+strings.Join(what, " "))
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(what, err)
	}
	return strings.TrimSpace(line)
}
