package discover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestSRVInterval: a name is asked for again by its TTL, within the bounds, and later and later
// while nobody answers.
func TestSRVInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type step struct {
			ttl  time.Duration
			err  error
			wait time.Duration // until the next query
		}
		down := errors.New("down")
		steps := []step{
			{ttl: 12 * time.Second, wait: 12 * time.Second},
			{ttl: 0, wait: 5 * time.Second},
			{ttl: time.Hour, wait: 30 * time.Second},
			{err: down, wait: 5 * time.Second},
			{err: down, wait: 10 * time.Second},
			{err: down, wait: 20 * time.Second},
			{err: down, wait: 30 * time.Second},
			{err: down, wait: 30 * time.Second},
			{ttl: 6 * time.Second, wait: 6 * time.Second},
			{err: down, wait: 5 * time.Second},
		}
		ctx, cancel := context.WithCancel(t.Context())
		var waits []time.Duration
		last := time.Now()
		n := 0
		s := &srv{zmtpName, func(_ context.Context, name string) (*answer, error) {
			if name != zmtpName {
				t.Errorf("asked for %q", name)
			}
			if n > 0 {
				waits = append(waits, time.Since(last))
			}
			last = time.Now()
			if n == len(steps) {
				cancel()
				return nil, ctx.Err()
			}
			n++
			return &answer{ttl: steps[n-1].ttl}, steps[n-1].err
		}}
		s.Run(ctx, func(Report) {})
		want := make([]time.Duration, len(steps))
		for i, s := range steps {
			want[i] = s.wait
		}
		if diff := cmp.Diff(want, waits); diff != "" {
			t.Error(diff)
		}
	})
}

// TestSRVReports: each change is reported once, and a failure does not take the list away.
func TestSRVReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		endpoints := func(names ...string) []Endpoint {
			var list []Endpoint
			for _, n := range names {
				list = append(list, Endpoint{Address: "tcp://" + n + ":1"})
			}
			return list
		}
		down := errors.New("down")
		tooMany := make([]Endpoint, MaxEndpoints+1)
		for i := range tooMany {
			tooMany[i].Address = fmt.Sprint(i)
		}
		answers := []struct {
			found []Endpoint
			err   error
		}{
			{endpoints("b", "a", "b"), nil}, {endpoints("a", "b"), nil}, {nil, down}, {nil, down}, {endpoints("b", "a"), nil},
			{tooMany, nil}, {nil, nil}, {nil, nil},
		}
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		s := &srv{zmtpName, func(context.Context, string) (*answer, error) {
			if n == len(answers) {
				cancel()
				return nil, ctx.Err()
			}
			n++
			return &answer{endpoints: slices.Clone(answers[n-1].found)}, answers[n-1].err
		}}
		var got []string
		s.Run(ctx, func(r Report) {
			if r.Err != nil {
				got = append(got, r.Err.Error())
			} else {
				got = append(got, strings.Join(addresses(r.Endpoints), " "))
			}
		})
		want := []string{"tcp://a:1 tcp://b:1", "down", "tcp://a:1 tcp://b:1", "1001 endpoints: at most 1000 are taken", ""}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// scripted is a source that reports what a test sends.
type scripted chan Report

func (s scripted) Run(ctx context.Context, report func(Report)) {
	for {
		select {
		case r := <-s:
			report(r)
		case <-ctx.Done():
			return
		}
	}
}

// TestFinder: a failure keeps the last list, and the log says what has changed.
func TestFinder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		source := make(scripted)
		var got []string
		f := NewFinder(FinderOptions{
			Name: "srv://a", Source: source,
			Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey {
					return slog.Attr{}
				}
				return a
			}})),
			Changed: func(all []Endpoint) { got = append(got, strings.Join(addresses(all), " ")) },
		})
		defer f.Close()
		synctest.Wait()
		select {
		case <-f.First():
			t.Error("there was no report")
		default:
		}
		down := errors.New("down")
		two := []Endpoint{{Address: "1"}, {Address: "2"}}
		for i, step := range []struct {
			report    Report
			endpoints int
			err       error
		}{
			{Report{Err: down}, 0, down}, {Report{Endpoints: two}, 2, nil}, {Report{Endpoints: two[:1], Ignored: "x"}, 1, nil},
			{Report{Err: down}, 1, down}, {Report{}, 0, nil},
		} {
			source <- step.report
			synctest.Wait()
			<-f.First()
			if s := f.Status(); s.Endpoints != step.endpoints || s.Err != step.err || s.Since.IsZero() {
				t.Errorf("status %d: %+v", i, s)
			}
		}
		if diff := cmp.Diff([]string{"1 2", "1", ""}, got); diff != "" {
			t.Error(diff)
		}
		wantLog := `level=WARN msg="a source of endpoints has failed, its last list stays in force" source=srv://a endpoints=0 error=down
level=INFO msg="a source of endpoints works again" source=srv://a endpoints=2
level=INFO msg="endpoints found" source=srv://a endpoints=1
level=WARN msg="not all of what a source of endpoints has found can be used" source=srv://a ignored=x
level=WARN msg="a source of endpoints has failed, its last list stays in force" source=srv://a endpoints=1 error=down
level=INFO msg="a source of endpoints works again" source=srv://a endpoints=0
`
		if diff := cmp.Diff(wantLog, log.String()); diff != "" {
			t.Error(diff)
		}
	})
}
