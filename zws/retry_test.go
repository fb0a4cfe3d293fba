package zws_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
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
