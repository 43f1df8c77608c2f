package market_test

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/sse-demo/routes/market"
	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/ssetest"
)

const second = time.Second

// ids reads what the feed has now: the ids of ticks, and the data of gaps.
func ids(t *testing.T, f *market.Feed) (got []string) {
	t.Helper()
	frames, err := f.Next(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := ssetest.NewReader(bytes.NewReader(bytes.Join(frames, nil)))
	for range frames {
		e, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e.Name == "gap" {
			got = append(got, e.Data)
		} else {
			got = append(got, e.ID)
		}
	}
	return got
}

// TestFollow: where a feed begins, and what it gives first.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().Unix()
		id := func(before int64) string { return fmt.Sprint(now - before) }
		for _, tt := range []struct {
			name, lastEventID, position string
			ticks                       int
			gap                         string // its after
		}{
			{"a new client gets the present tick", "", id(1), 1, ""},
			{"one tick missed", id(1), id(1), 1, ""},
			{"nothing missed", id(0), id(0), 0, ""},
			{"the longest replay", id(market.MaxReplay), id(market.MaxReplay), market.MaxReplay, ""},
			{"one more", id(market.MaxReplay + 1), id(market.MaxReplay), market.MaxReplay, id(market.MaxReplay + 1)},
			{"the future", id(-1), id(market.MaxReplay), market.MaxReplay, id(-1)},
			{"no number", "x", id(market.MaxReplay), market.MaxReplay, "x"},
			{"another form", "0" + id(1), id(market.MaxReplay), market.MaxReplay, "0" + id(1)},
			{"below zero", "-1", id(market.MaxReplay), market.MaxReplay, "-1"},
			{"beyond all numbers", strings.Repeat("9", 39), id(market.MaxReplay), market.MaxReplay, strings.Repeat("9", 39)},
		} {
			m := market.New()
			f := m.Follow("BTC", second, tt.lastEventID)
			if got := f.Position(); got != tt.position {
				t.Errorf("%s: position %s, want %s", tt.name, got, tt.position)
			}
			var want []string
			if tt.gap != "" {
				want = append(want, fmt.Sprintf(`{"after":%q,"oldest":%q}`, tt.gap, id(market.MaxReplay-1)))
			}
			for n := tt.ticks - 1; n >= 0; n-- {
				want = append(want, id(int64(n)))
			}
			if got := ids(t, f); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: %v, want %v", tt.name, got, want)
			}
			f.Close()
		}
	})
}

// TestFollowAhead: a client may have the next tick from a replica whose clock is a little
// ahead. A tick that is due later is of the future.
func TestFollowAhead(t *testing.T) {
	for _, tt := range []struct {
		due, interval time.Duration
		ahead         int64
		gap           bool
	}{
		{100 * time.Millisecond, 10 * second, 1, false},
		{101 * time.Millisecond, 10 * second, 1, true},
		{100 * time.Millisecond, 10 * second, 2, true},
		{100 * time.Millisecond, 100 * time.Millisecond, 1, false},
		{time.Millisecond, 100 * time.Millisecond, 2, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			<-time.After(tt.interval - tt.due)
			newest := time.Now().UnixMilli() / tt.interval.Milliseconds()
			f := market.New().Follow("BTC", tt.interval, fmt.Sprint(newest+tt.ahead))
			if got := ids(t, f); len(got) > 0 != tt.gap {
				t.Errorf("%+v: %v", tt, got)
			}
			<-time.After(tt.due)
			if got := ids(t, f); len(got) > 0 != tt.gap {
				t.Errorf("%+v, when the next is due: %v", tt, got)
			}
		})
	}
}

// TestNotify: a feed that is read is woken at each tick, at its time, until it is closed.
// Then the timer ends, too.
func TestNotify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := market.New()
		one, two := m.Follow("BTC", second, ""), m.Follow("BTC", second, "")
		wakes := make(chan time.Time, 10)
		one.Notify(func() { wakes <- time.Now() })
		two.Notify(func() {})
		if len(wakes) != 1 {
			t.Error("a feed that has something is not woken at once")
		}
		<-wakes
		began := time.Now().Truncate(second)
		two.Close()
		for n := range 4 {
			if got := ids(t, one); len(got) != 1 {
				t.Errorf("%v", got)
			}
			if at := <-wakes; at.Sub(began) != time.Duration(n+1)*second {
				t.Errorf("tick %d after %v", n, at.Sub(began))
			}
		}
		one.Close()
		<-time.After(2 * second)
		if len(wakes) > 0 || m.Timers() > 0 {
			t.Errorf("%d wakes and %d timers after the last feed was closed", len(wakes), m.Timers())
		}
	})
}

// TestSlowFeed: a client that has not read for long gets a gap and MaxReplay ticks,
// and goes on; so does one that has lost some before, whose gap is from its own id.
func TestSlowFeed(t *testing.T) {
	for _, lastEventID := range []string{"", "1"} {
		synctest.Test(t, func(t *testing.T) {
			m := market.New()
			f := m.Follow("BTC", 100*time.Millisecond, lastEventID)
			defer f.Close()
			after := lastEventID
			if after == "" {
				after = ids(t, f)[0]
			}
			<-time.After(market.MaxReplay*100*time.Millisecond + time.Second)
			got := ids(t, f)
			if len(got) != market.MaxReplay+1 || !strings.HasPrefix(got[0], fmt.Sprintf(`{"after":%q`, after)) {
				t.Errorf("%d: %v", len(got), got[0])
			}
		})
	}
}

// TestClockSetBack: an open stream goes on with the present tick and says that its
// ids fall; a client resumes after them. A step of less than two ticks is waited for.
func TestClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := market.New()
		var back atomic.Int64
		m.SetClock(func() time.Time { return time.Now().Add(-time.Duration(back.Load())) })
		id := func() string { return fmt.Sprint(time.Now().Add(-time.Duration(back.Load())).Unix()) }
		f := m.Follow("BTC", second, "")
		wakes := make(chan struct{}, 100)
		f.Notify(func() { wakes <- struct{}{} })
		<-wakes
		last := ids(t, f)[0]

		back.Store(int64(time.Hour))
		for n := range 5 { // a wake each second, as before
			<-wakes
			got, want := ids(t, f), []string{id()}
			if n == 0 {
				want = []string{fmt.Sprintf(`{"after":%q,"oldest":%q}`, last, id()), id()}
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("tick %d after the hour: %v, want %v", n, got, want)
			}
		}
		last = id()
		f.Close()
		<-time.After(2 * second)
		f = m.Follow("BTC", second, last)
		defer f.Close()
		if got := ids(t, f); len(got) != 2 || got[1] != id() {
			t.Errorf("a client that comes back after %s gets %v", last, got)
		}

		back.Add(int64(second))
		if got := ids(t, f); len(got) != 0 {
			t.Errorf("a clock that went back a second: %v", got)
		}
	})
}

// TestFeedsShareFrames: a tick is encoded once, however many follow it.
func TestFeedsShareFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := market.New()
		one, two := m.Follow("BTC", second, ""), m.Follow("BTC", second, "")
		defer one.Close()
		defer two.Close()
		a, _ := one.Next(nil)
		b, _ := two.Next(nil)
		if &a[0][0] != &b[0][0] {
			t.Error("two frames for one tick")
		}
		var _ sse.Source = one
	})
}

func TestPrice(t *testing.T) {
	if a, b := market.Price("BTC", 1763683200000), market.Price("BTC", 1763683200000); a != b {
		t.Error("the price of one moment changes:", a, b)
	}
	if market.Price("BTC", 1763683200000) == market.Price("ETH", 1763683200000) {
		t.Error("two symbols have one price")
	}
	for ms := int64(0); ms < 1<<41; ms += 1 << 31 {
		for _, symbol := range []string{"BTC", "A", "Z-9.", "AAAAAAAAAAAA"} {
			price, next := market.Price(symbol, ms), market.Price(symbol, ms+100)
			if price <= 1 || price > 1e6 || math.Abs(next/price-1) > 0.01 || math.Round(price*100)/100 != price {
				t.Fatalf("%s at %d: %v, then %v", symbol, ms, price, next)
			}
		}
	}
}

// TestAt: the delta is the difference of two prices that clients see.
func TestAt(t *testing.T) {
	for n := int64(1763683200); n < 1763683300; n++ {
		before, now := market.At("ETH", n-1, 1000), market.At("ETH", n, 1000)
		if now.Timestamp != n*1000 || now.Delta != math.Round((now.Price-before.Price)*100)/100 {
			t.Errorf("%+v after %+v", now, before)
		}
	}
}
