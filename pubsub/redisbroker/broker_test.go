package redisbroker

import (
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/pubsub/redistest"
	"example.com/sse-demo/sse"
)

func TestReplicas(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one, two := replica(t, server.URL), replica(t, server.URL)
	here, there := subscribe(t, one, "a", pubsub.Start{}), subscribe(t, two, "a", pubsub.Start{})
	receipt, err := one.Publish(t.Context(), "a", "greeting", []byte("hello"))
	if err != nil || receipt.Delivered != 1 {
		t.Errorf("%+v, %v", receipt, err)
	}
	second := publish(t, two, "a", "world")
	for _, s := range []pubsub.Subscription{here, there} {
		woken := wakes(s)
		frames, _ := s.Next(nil)
		for len(frames) < 2 {
			<-woken
			frames, _ = s.Next(frames)
		}
		want := "id: " + receipt.ID.String() + "\nevent: greeting\ndata: hello\n\nid: " + second + "\ndata: world\n\n"
		if got := string(slices.Concat(frames...)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	t.Run("replay on a replica that comes later", func(t *testing.T) {
		three := replica(t, server.URL)
		expect(t, "resume", await(t, subscribe(t, three, "a", pubsub.Start{After: receipt.ID.String()}), 1), "world")
		expect(t, "replay", await(t, subscribe(t, three, "a", pubsub.Start{Replay: 5}), 2), "hello", "world")
	})
	t.Run("a bad name is the event's fault", func(t *testing.T) {
		for _, channel := range []string{"", anchorChannel} { // no subscriber would get the event
			if _, err := one.Publish(t.Context(), channel, "", nil); !errors.Is(err, sse.ErrInvalidField) {
				t.Errorf("channel %q: %v", channel, err)
			}
		}
		if _, err := one.Publish(t.Context(), "a", "a\nb", nil); !errors.Is(err, sse.ErrInvalidField) || one.Err() != nil {
			t.Error(err, one.Err())
		}
	})
	t.Run("entries of others are skipped", func(t *testing.T) {
		server.Do("XADD", defaultKey, "*", "what", "ever")
		server.Do("XADD", defaultKey, "*", "c", "a", "n", "a\rb", "d", "x")
		publish(t, one, "a", "on")
		expect(t, "what follows", await(t, there, 1), "on")
	})
}

// TestReadYourWrites: a client that has published on a replica can replay it
// there.
func TestReadYourWrites(t *testing.T) {
	t.Parallel()
	r := replica(t, redistest.Start(t).URL)
	for i := range 200 {
		data := strconv.Itoa(i)
		publish(t, r, "a", data)
		s := r.Subscribe([]string{"a"}, pubsub.Start{Replay: 1})
		expect(t, "replay", next(t, s), data)
		s.Close()
	}
}

// TestReconnectsDoNotReachRedis: the replica replays.
func TestReconnectsDoNotReachRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	r := replica(t, server.URL)
	first := publish(t, r, "a", "1")
	publish(t, r, "a", "2")
	commands := func() int {
		var n int
		for line := range strings.Lines(server.Do("INFO", "stats")) {
			if count, ok := strings.CutPrefix(line, "total_commands_processed:"); ok {
				n, _ = strconv.Atoi(strings.TrimSpace(count))
			}
		}
		return n
	}
	before := commands()
	for range 1000 {
		s := subscribe(t, r, "a", pubsub.Start{After: first})
		expect(t, "resume", next(t, s), "2")
	}
	if n := commands() - before; n > 100 { // by this test, by reading and by probing
		t.Errorf("Redis has had %d commands", n)
	}
}

// TestReplicaIsBehind: a client comes from another replica with an event that this
// one does not have yet. It gets what follows, once, as soon as it is here.
func TestReplicaIsBehind(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	line, url := lineTo(t, server)
	near, far := replica(t, server.URL), replica(t, url)
	publish(t, near, "a", "0")
	expect(t, "live", await(t, subscribe(t, far, "a", pubsub.Start{Replay: 1}), 1), "0")
	line.set(true)
	eventually(t, "the cut is noticed", func() bool { return far.Err() != nil })
	seen := publish(t, near, "a", "1")
	s := subscribe(t, far, "a", pubsub.Start{After: seen})
	if s.Position() != seen {
		t.Errorf("it begins after %s, want %s", s.Position(), seen)
	}
	expect(t, "before this replica has it", next(t, s))
	publish(t, near, "a", "2")
	line.set(false)
	expect(t, "then", await(t, s, 1), "2")

	const future = "9999999999999-0"
	got := await(t, subscribe(t, far, "a", pubsub.Start{After: future}), 4)
	if !strings.HasPrefix(got[0], `gap {"after":"`+future) {
		t.Errorf("an id of the future: %q", got)
	}
	expect(t, "what is kept", got[1:], "0", "1", "2")
}

// lineWriter receives lines of a log.
type lineWriter chan string

func (w lineWriter) Write(line []byte) (int, error) {
	w <- string(line)
	return len(line), nil
}

// TestStartWithoutRedis: Start waits a few seconds for Redis, and says so in one line at
// once. A refusal that waiting cannot change is returned at once.
func TestStartWithoutRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Prepare(t)
	log := make(lineWriter, 10)
	start := func(url string) error {
		r, err := New(options(url, func(o *Options) {
			o.timing.start = 2 * time.Second
			o.Logger = slog.New(slog.NewTextHandler(log, nil))
		}))
		if err != nil {
			return err
		}
		defer r.Close()
		return r.Start(t.Context())
	}
	if err := start(server.URL); err == nil || !strings.Contains(err.Error(), server.Addr) {
		t.Error("nobody is there:", err)
	}
	if line := <-log; len(log) > 0 || !strings.Contains(line, "cannot use Redis yet") || !strings.Contains(line, server.Addr) {
		t.Errorf("%q, and %d more lines", line, len(log))
	}
	late := make(chan error, 1)
	go func() { late <- start(server.URL) }()
	<-log
	server.Run()
	if err := <-late; err != nil {
		t.Error("it has come:", err)
	}
	wrong := strings.Replace(server.URL, redistest.Password, "secret", 1)
	if err := start(wrong); err == nil || !strings.Contains(err.Error(), "WRONGPASS") || strings.Contains(err.Error(), "secret") {
		t.Error("wrong password:", err)
	}
	if len(log) > 0 {
		t.Errorf("%q", <-log)
	}
}

func TestURL(t *testing.T) {
	for _, url := range []string{
		"redis://", "redis://h", "redis://h:1/2", "redis://h?db=2", "redis://user:secret@[::1]:6379", "rediss://h", "unix:///run/redis.sock?db=2",
		"redis://h:26379/1?master_name=m&addr=h2:26379&addr=h3:1&password=secret", "rediss://h/0?skip_verify=true",
	} {
		if err := CheckURL(url); err != nil {
			t.Errorf("%q: %v", url, err)
		}
	}
	for _, url := range []string{
		"", "localhost", "http://x", "redis:secret@h", "redis://:secret@[", "redis://:secret@h:port", "redis://h/a", "redis://h/-1", "redis://h?database=2",
		"redis://h#1", "unix://:secret@", "unix://run/redis.sock", "unix:///run/redis.sock?db=a",
		"redis://h?master_name=", "unix:///run/redis.sock?master_name=m", "redis://:secret@h/a?master_name=m", "redis://h?master_name=m&what=ever",
	} {
		if err := CheckURL(url); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestRedisOnASocket(t *testing.T) {
	t.Parallel()
	server := redistest.Prepare(t)
	socket := filepath.Join(t.TempDir(), "redis.sock")
	server.Run("--unixsocket", socket)
	r := replica(t, "unix://:"+redistest.Password+"@"+socket+"?db=3")
	publish(t, r, "a", "1")
	if keys := server.Do("INFO", "keyspace"); !strings.Contains(keys, "db3:keys=") {
		t.Error("it is another database:", keys)
	}
}
