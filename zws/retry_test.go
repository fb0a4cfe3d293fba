package zws_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestRetryAdvice: a handler that is too busy tells the client when to come back: at the end of
// the reason, for a page as a number too, and never in an ERROR.
func TestRetryAdvice(t *testing.T) {
	o := options()
	o.Handler = zap.HandlerFunc(func(context.Context, *zap.Request) (*zap.Reply, error) {
		return nil, zap.Busy(6500 * time.Millisecond)
	})
	s := serve(t, o, plain)
	const reason = "too many logins at the same time; retry in 7s"

	page := s.dialJSON(t)
	page.say(jsonLogin)
	page.hear(`{"op":"error","code":4300,"reason":"` + reason + `","retry":7}`)
	page.expectClose(4300, reason)

	bare := s.dialRaw(t, "/", offering("ZWS2.0+NULL"), "Authorization: Basic "+"dXNlcjpw")
	bare.send("\x02\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER")
	bare.expectClose(4300, reason)
}

// TestRetryAdviceToClients: the Go clients have the advice as a duration.
func TestRetryAdviceToClients(t *testing.T) {
	for name, c := range map[string]struct {
		code   zws.Code
		reason string
		want   time.Duration
		final  bool
	}{
		"none":                 {4300, "try again later", 0, false},
		"one second":           {4300, "too many logins; retry in 1s", time.Second, false},
		"ten minutes":          {1001, "; retry in 600s", 600 * time.Second, false},
		"final":                {4403, "not permitted; retry in 5s", 5 * time.Second, true},
		"zero":                 {4300, "too many logins; retry in 0s", 0, false},
		"too long":             {4300, "too many logins; retry in 601s", 0, false},
		"four digits":          {4300, "too many logins; retry in 1000s", 0, false},
		"not at the end":       {4300, "too many logins; retry in 5s or so", 0, false},
		"without a semicolon":  {4300, "retry in 5s", 0, false},
		"negative":             {4300, "too many logins; retry in -5s", 0, false},
		"followed by new line": {4300, "too many logins; retry in 5s\n", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := refuseAll(t, &zws.CloseError{Code: c.code, Reason: c.reason})
			_, err := zws.Dial(t.Context(), s.url(), zws.DialOptions{SocketType: zmtp.DEALER, Security: zmtp.Null{}})
			closed, ok := errors.AsType[*zws.CloseError](err)
			if !ok || closed.Code != c.code || closed.Reason != c.reason || closed.RetryAfter != c.want {
				t.Fatalf("Dial: %v with advice %v, want %v", err, closed.RetryAfter, c.want)
			}
			for range 20 {
				delay := closed.RetryDelay()
				if c.final && delay != 0 || !c.final && (delay < c.want || delay > c.want*3/2) {
					t.Errorf("delay of %v, want %v to %v", delay, c.want, c.want*3/2)
				}
			}
		})
	}
	// An error of one server as the answer of another: the advice is sent once.
	s := refuseAll(t, &zws.CloseError{Code: 4300, Reason: "busy; retry in 5s", RetryAfter: 5 * time.Second})
	s.dialRaw(t, "/", offering("ZWS2.0+NULL")).expectClose(4300, "busy; retry in 5s")
}

// TestRetryAdviceFits: the advice is 1 to 600 seconds and is never cut, however long the reason is.
func TestRetryAdviceFits(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		after  time.Duration
		want   string
	}{
		"none":               {"shutting down", 0, "shutting down"},
		"less than a second": {"shutting down", time.Millisecond, "shutting down; retry in 1s"},
		"too long":           {"shutting down", time.Hour, "shutting down; retry in 600s"},
		"no reason":          {"", time.Second, "; retry in 1s"},
		"long reason":        {strings.Repeat("x", 200), time.Second, strings.Repeat("x", 110) + "; retry in 1s"},
		"cut inside a rune":  {strings.Repeat("x", 109) + "éé", time.Second, strings.Repeat("x", 109) + "; retry in 1s"},
	} {
		t.Run(name, func(t *testing.T) {
			cause := &zws.CloseError{Code: 4300, Reason: c.reason, RetryAfter: c.after}
			p := refuseAll(t, cause).dialRaw(t, "/", offering("ZWS2.0+NULL"))
			p.expectClose(4300, c.want)
		})
	}
	for _, wait := range []time.Duration{0, time.Nanosecond, time.Second, 90 * time.Second, time.Hour} {
		want := min(max(1, int((wait+time.Second-1)/time.Second)), 600)
		cause := zws.Cause(fmt.Errorf("chain: %w", zap.Busy(wait)))
		if got := zap.Busy(wait).RetryAfter; got != time.Duration(want)*time.Second || cause.Code != zws.CodeInternal {
			t.Errorf("%v: advised %v, code %d", wait, got, cause.Code)
		}
	}
}
