package repeat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// line is one line of a log in JSON.
type line struct {
	Msg        string
	Route      string
	User       string
	Suppressed int
}

func lines(t *testing.T, b *bytes.Buffer) (list []line) {
	t.Helper()
	for d := json.NewDecoder(b); d.More(); {
		var l line
		if err := d.Decode(&l); err != nil {
			t.Fatal(err)
		}
		list = append(list, l)
	}
	return list
}

// TestFlood: of many lines one a second is written, and the numbers add up.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		l := new(Limiter)
		l.SetInterval(time.Second)
		log := slog.New(l.Handler(slog.NewJSONHandler(&b, nil))).With("route", "/a")
		for n := range 1000 {
			log.Warn("refused", "user", fmt.Sprint(n))
			time.Sleep(3 * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		got := lines(t, &b)
		total := 0
		for _, l := range got {
			total += 1 + l.Suppressed
		}
		if len(got) != 4 || total != 1000 {
			t.Errorf("%d lines for %d: %+v, want 4 for 1000", len(got), total, got)
		}
		if got[0].User != "0" || got[len(got)-1].User != "999" {
			t.Errorf("%+v: want the first and the last user", got)
		}
		if len(l.kinds) != 0 {
			t.Errorf("%d kinds are left", len(l.kinds))
		}
	})
}

// TestKinds: what differs by level, message or place is not left out, and Info is not limited.
func TestKinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		l := new(Limiter)
		l.SetInterval(time.Minute)
		log := slog.New(l.Handler(slog.NewJSONHandler(&b, nil)))
		log.Warn("one", "route", "/a")
		log.With("route", "/b").Warn("one")
		log.Error("one", "route", "/a")
		log.Warn("two", "route", "/a")
		log.Info("one", "route", "/a")
		log.Info("one", "route", "/a")
		if got := lines(t, &b); len(got) != 6 {
			t.Errorf("%d lines, want 6: %+v", len(got), got)
		}
		log.WithGroup("g").Warn("one", "route", "/a", "error", errors.New("held"))
		if b.Len() > 0 {
			t.Errorf("not held: %s", &b)
		}
		l.Close()
		if got := lines(t, &b); len(got) != 1 || got[0].Suppressed != 0 {
			t.Errorf("after Close: %+v, want the one that was held", got)
		}
		log.Warn("one", "route", "/a")
		log.Warn("one", "route", "/a")
		if got := lines(t, &b); len(got) != 2 {
			t.Errorf("a closed limiter has written %d lines, want 2", len(got))
		}
	})
}

// TestManyKinds: keys that others choose do not fill the memory.
func TestManyKinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(Limiter)
		l.SetInterval(time.Second)
		written, total := 0, 0
		for n := range 10 * maxKeys {
			l.Do(fmt.Sprint(n), func(extra int) { written, total = written+1, total+1+extra })
		}
		if len(l.kinds) != maxKeys+1 {
			t.Errorf("%d kinds, want %d", len(l.kinds), maxKeys+1)
		}
		l.Close()
		if written != maxKeys+2 || total != 10*maxKeys {
			t.Errorf("%d lines for %d, want %d for %d", written, total, maxKeys+2, 10*maxKeys)
		}
	})
}

// TestInterval: a changed interval applies at once, and what was held is written.
func TestInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(Limiter)
		l.SetInterval(time.Hour)
		var got []int
		write := func(extra int) { got = append(got, extra) }
		for range 4 {
			l.Do("", write)
		}
		l.SetInterval(time.Second)
		l.Do("", write)
		l.Do("", write)
		time.Sleep(time.Minute)
		synctest.Wait()
		if want := []int{0, 2, 0, 0}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%v were left out, want %v", got, want)
		}
	})
}
