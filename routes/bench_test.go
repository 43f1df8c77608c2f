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

// BenchmarkPublish is the time that POST /publish takes over TCP, in the median.
// The servers and the subscribers are separate processes, the servers on
// processor 0: run it with taskset -c 1 to have the rest on another.
func BenchmarkPublish(b *testing.B) {
	b.Run("in turns", publishInTurns)
	b.Run("5000 subscribers, without a pause", func(b *testing.B) {
		url := child(b, "service")
		child(b, "read", "5000", url)
		var took []time.Duration
		for b.Loop() {
			took = append(took, post(b, url, 100))
		}
		reportMedian(b, "publish", took)
	})
}

// publishInTurns compares the service with Echo handlers that decode the same
// JSON: one that does nothing, one that answers as much. Some get twenty requests
// in a row, of which the first wake them up. With 5,000 subscribers, which
// need a while to get the event, it is one, beside others that get one.
func publishInTurns(b *testing.B) {
	many := map[string]string{
		"empty-echo": child(b, "echo"), "answering-echo": child(b, "echo", "answers"),
		"0-subscribers": child(b, "service"), "100-stalled": stalled(b, 100),
	}
	one := map[string]string{"empty-echo-once": child(b, "echo"), "0-subscribers-once": child(b, "service")}
	crowd := child(b, "service")
	child(b, "read", "5000", crowd)
	took := map[string][]time.Duration{}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for b.Loop() {
		<-tick.C
		for name, url := range many {
			for n := range 20 {
				if d := post(b, url, 100); n >= 5 {
					took[name] = append(took[name], d)
				}
			}
		}
		for name, url := range one {
			took[name] = append(took[name], post(b, url, 100))
		}
		took["5000-subscribers-once"] = append(took["5000-subscribers-once"], post(b, crowd, 100))
	}
	for name, times := range took {
		reportMedian(b, name, times)
	}
}

func reportMedian(b *testing.B, name string, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1000, name+"-µs")
}

// stalled is a service with subscribers that have stopped reading.
func stalled(b *testing.B, subscribers int) (url string) {
	b.Helper()
	url = child(b, "service")
	for range subscribers {
		conn := subscribe(url)
		b.Cleanup(func() { _ = conn.Close() })
	}
	for range 150 { // 9 MB: more than the sockets take
		post(b, url, 60_000)
	}
	return url
}

// post publishes, and returns how long that took.
func post(b *testing.B, url string, size int) time.Duration {
	b.Helper()
	body := `{"channel":"a","payload":"` + strings.Repeat("x", size) + `"}`
	request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url+"/publish", strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	began := time.Now()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		b.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	return time.Since(began)
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
		os.Exit(checkSeen(m.Run()))
	}
	switch what[0] {
	case "echo":
		_, _ = fmt.Println(httptest.NewServer(emptyEcho(len(what) > 1)).URL) //nolint:forbidigo // the parent reads it
	case "service":
		config := options()
		config.Stream.WriteTimeout = time.Hour // a client that is stalled stays so
		config.Logger = zerolog.Nop()
		config.Broker = fresh(config.Broker)
		config.Jobs = job.NewManager(config.Logger, job.NewJournal())
		_, _ = fmt.Println(httptest.NewServer(routes.New(config)).URL) //nolint:forbidigo // the parent reads it
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

func emptyEcho(answers bool) http.Handler {
	app := echo.New()
	app.POST("/publish", func(c echo.Context) error {
		var p struct {
			Channel string          `json:"channel"`
			Payload json.RawMessage `json:"payload"`
		}
		if err := c.Bind(&p); err != nil {
			return err
		}
		if answers {
			return c.JSON(http.StatusOK, map[string]any{"channel": p.Channel, "id": "1763683200000-0", "delivered": 0})
		}
		return c.NoContent(http.StatusOK)
	})
	return app
}

// child runs a process until the benchmark ends, and returns its first line.
func child(b *testing.B, what ...string) string {
	b.Helper()
	where := []string{"taskset", "-c", "0"}
	if what[0] == "read" { // only when the publisher waits
		where = []string{"chrt", "--idle", "0"}
	}
	if _, err := exec.LookPath(where[0]); err != nil {
		b.Skip("needs ", where[0], ", of Debian's package util-linux")
	}
	cmd := exec.CommandContext(b.Context(), where[0], append(where[1:], os.Args[0])...)
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
