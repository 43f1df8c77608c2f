// Command bench measures how an SSE server fans messages out: it opens many
// subscribers to one channel, publishes through the server's own endpoint and
// counts what arrives, when, and what it cost the server.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

type list []string

func (l *list) String() string     { return strings.Join(*l, ", ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

type options struct {
	name, cmd, dir, addr                 string
	subscribe, publish, method, body, ct string
	headers, subHeaders                  list
	scenarios, out                       string
	rep, publishers                      int
	serverCPU, clientCPU                 int
	spin                                 bool
	pacedSubs, rate, burstSubs           int
	burstMsgs, churn                     int
	pacedFor, churnFor                   time.Duration
	publishFor, limit                    time.Duration

	sockaddr         *syscall.SockaddrInet4
	subscribeRequest []byte
	publishHead      string
}

// result is one line of the raw data.
type result struct {
	Time     string  `json:"time"`
	Name     string  `json:"name"`
	Scenario string  `json:"scenario"`
	Rep      int     `json:"rep"`
	Error    string  `json:"error,omitempty"`
	Load1    float64 `json:"load1"`  // before the run
	CalUs    float64 `json:"cal_us"` // see calibrate, mean of before and after

	Subs      int     `json:"subs"`
	Refused   int     `json:"refused,omitempty"`
	Dropped   int     `json:"dropped,omitempty"` // cut by the server during the run
	RSSBase   int64   `json:"rss_base"`
	RSSIdle   int64   `json:"rss_idle,omitempty"`
	RSSAfter  int64   `json:"rss_after"`
	RSSPerSub float64 `json:"rss_per_sub,omitempty"`

	Published  int     `json:"published,omitempty"`
	PubErrors  int     `json:"pub_errors,omitempty"`
	PubSecs    float64 `json:"pub_secs,omitempty"` // first request to last answer
	Expected   int64   `json:"expected,omitempty"`
	Got        int64   `json:"got,omitempty"`
	Lost       int64   `json:"lost"`
	Dup        int64   `json:"dup"`
	Swapped    int64   `json:"swapped"` // behind a later message of the same publisher
	Orders     int     `json:"orders,omitempty"`
	Secs       float64 `json:"secs"`
	PerSec     float64 `json:"deliveries_per_sec,omitempty"`
	PerRead    float64 `json:"deliveries_per_read,omitempty"`
	P50        float64 `json:"p50_us,omitempty"`
	P99        float64 `json:"p99_us,omitempty"`
	P999       float64 `json:"p999_us,omitempty"`
	Max        float64 `json:"max_us,omitempty"`
	CPUSecs    float64 `json:"server_cpu_secs"`
	CPUPer     float64 `json:"server_us_per_delivery,omitempty"`
	GenPer     float64 `json:"generator_us_per_delivery,omitempty"`
	PubPerSec  float64 `json:"publishes_per_sec,omitempty"`
	PubP50     float64 `json:"publish_p50_us,omitempty"`
	PubP99     float64 `json:"publish_p99_us,omitempty"`
	CPUPub     float64 `json:"server_us_per_publish,omitempty"`
	Cycles     int     `json:"cycles,omitempty"`
	CyclesPer  float64 `json:"cycles_per_sec,omitempty"`
	CPUCycle   float64 `json:"server_us_per_cycle,omitempty"`
	LeakQuiet  int     `json:"leaked_quiet"` // sockets left 2 s after the last client closed
	LeakPoked  int     `json:"leaked"`       // and after a few more messages
	OtherCPU   float64 `json:"other_on_server_core"`
	OtherOnGen float64 `json:"other_on_client_core"`
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "report" {
		if err := report(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	o := &options{}
	f := flag.CommandLine
	f.StringVar(&o.name, "name", "", "name in the results")
	f.StringVar(&o.cmd, "cmd", "", "server command; {port} and {addr} are filled in, PORT and ADDR are set")
	f.StringVar(&o.dir, "dir", "", "directory to start it in")
	f.StringVar(&o.addr, "addr", "127.0.0.1:18099", "loopback address to use")
	f.StringVar(&o.subscribe, "subscribe", "/stream/channel?name=bench", "path of the stream")
	f.StringVar(&o.publish, "publish", "/publish", "path of the publish endpoint")
	f.StringVar(&o.method, "method", "POST", "method of the publish endpoint")
	f.StringVar(&o.body, "body", `{"channel":"bench","payload":%s}`, "publish body, %s is the payload")
	f.StringVar(&o.ct, "content-type", "application/json", "of the publish body")
	f.Var(&o.headers, "header", "header of the publish request (repeatable)")
	f.Var(&o.subHeaders, "sub-header", "header of the subscribe request (repeatable)")
	f.StringVar(&o.scenarios, "scenarios", "idle1000,idle8000,paced,burst,churn,publish1,publish8", "what to run, each on a fresh server")
	f.StringVar(&o.out, "out", "", "append JSON lines to this file")
	f.IntVar(&o.rep, "rep", 1, "repetition number in the results")
	f.IntVar(&o.publishers, "publishers", 8, "publisher connections")
	f.IntVar(&o.serverCPU, "server-cpu", 0, "core of the server")
	f.IntVar(&o.clientCPU, "client-cpu", 1, "core this program was pinned to")
	f.BoolVar(&o.spin, "spin", true, "poll while measuring instead of sleeping")
	f.IntVar(&o.pacedSubs, "paced-subs", 1000, "")
	f.IntVar(&o.rate, "rate", 50, "messages per second in paced")
	f.DurationVar(&o.pacedFor, "paced-for", 10*time.Second, "")
	f.IntVar(&o.burstSubs, "burst-subs", 500, "")
	f.IntVar(&o.burstMsgs, "burst-msgs", 5000, "")
	f.IntVar(&o.churn, "churn", 50, "concurrent connections in churn")
	f.DurationVar(&o.churnFor, "churn-for", 5*time.Second, "")
	f.DurationVar(&o.publishFor, "publish-for", 3*time.Second, "")
	f.DurationVar(&o.limit, "limit", 90*time.Second, "longest measured phase")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(o *options) error {
	if o.name == "" || o.cmd == "" {
		return errors.New("need --name and --cmd")
	}
	tcp, err := net.ResolveTCPAddr("tcp4", o.addr)
	if err != nil {
		return err
	}
	if !tcp.IP.IsLoopback() {
		return errors.New("only loopback addresses")
	}
	o.publishers = min(o.publishers, maxPublishers)
	o.sockaddr = &syscall.SockaddrInet4{Port: tcp.Port, Addr: [4]byte(tcp.IP.To4())}
	o.subscribeRequest = []byte(request("GET", o.subscribe, o.addr, append(o.subHeaders, "Accept: text/event-stream")) + "\r\n")
	o.publishHead = request(o.method, o.publish, o.addr, append(o.headers, "Content-Type: "+o.ct)) + "Content-Length: "

	runtime.LockOSThread() // the server is told to end with this thread
	debug.SetGCPercent(-1) // a run allocates little; no collection in the middle
	var out *os.File
	if o.out != "" {
		if out, err = os.OpenFile(o.out, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
			return err
		}
		defer out.Close()
	}
	for _, sc := range strings.Split(o.scenarios, ",") {
		waitQuiet(o, 30*time.Second)
		r := result{Time: time.Now().UTC().Format(time.RFC3339), Name: o.name, Scenario: sc, Rep: o.rep, Load1: load1()}
		r.CalUs = calibrate() / 2
		if err := scenario(o, sc, &r); err != nil {
			r.Error = err.Error()
		}
		r.CalUs += calibrate() / 2
		line, _ := json.Marshal(r)
		if out != nil {
			fmt.Fprintf(out, "%s\n", line)
		} else {
			fmt.Fprintf(os.Stderr, "%s\n", line)
		}
		fmt.Println(r.human())
		runtime.GC()
	}
	return nil
}

func request(method, path, host string, headers []string) string {
	return method + " " + path + " HTTP/1.1\r\nHost: " + host + "\r\n" + strings.Join(headers, "\r\n") + "\r\n"
}

func (r result) human() string {
	s := fmt.Sprintf("%-14s %-9s", r.Name, r.Scenario)
	switch {
	case r.Error != "":
		return s + " FAILED: " + r.Error
	case r.RSSPerSub > 0:
		s += fmt.Sprintf(" %7.0f B RSS per connection (base %.1f MB)", r.RSSPerSub, float64(r.RSSBase)/1e6)
	case strings.HasPrefix(r.Scenario, "publish"):
		s += fmt.Sprintf(" %7.0f publishes/s  %6.1f us CPU each  p50 %.0f p99 %.0f us", r.PubPerSec, r.CPUPub, r.PubP50, r.PubP99)
	case r.Scenario == "churn":
		s += fmt.Sprintf(" %7.0f cycles/s  %6.1f us CPU per cycle  leaked %d/%d", r.CyclesPer, r.CPUCycle, r.LeakQuiet, r.LeakPoked)
	default:
		s += fmt.Sprintf(" %6.2f us CPU per delivery  %8.0f deliveries/s  p50 %.0f p99 %.0f us  lost %d dup %d swapped %d orders %d",
			r.CPUPer, r.PerSec, r.P50, r.P99, r.Lost, r.Dup, r.Swapped, r.Orders)
	}
	if r.Dropped+r.Refused+r.PubErrors > 0 {
		s += fmt.Sprintf("  dropped %d refused %d publish errors %d", r.Dropped, r.Refused, r.PubErrors)
	}
	return s + fmt.Sprintf("  [gen %.2f us, cal %.2f us, other %.0f%%/%.0f%%]", r.GenPer, r.CalUs, 100*r.OtherCPU, 100*r.OtherOnGen)
}
