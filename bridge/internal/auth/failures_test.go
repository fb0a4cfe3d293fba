package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

var errTooMany = errors.New("too many")

// onlyAlice accepts the user alice and refuses all others.
var onlyAlice = zap.HandlerFunc(func(_ context.Context, req *zap.Request) (*zap.Reply, error) {
	if user, _, ok := req.Plain(); ok && user == "alice" {
		return &zap.Reply{Status: zap.OK, UserID: user}, nil
	}
	return &zap.Reply{Status: zap.Refused}, nil
})

// login sends a PLAIN login through f and returns the reply and how long it took.
func login(t *testing.T, f *Failures, address, user string) (*zap.Reply, time.Duration) {
	t.Helper()
	start := time.Now()
	reply, err := f.Authenticate(t.Context(), &zap.Request{
		Domain: "global", Address: address, Mechanism: zap.PLAIN, Credentials: [][]byte{[]byte(user), []byte("x")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return reply, time.Since(start)
}

func TestFailuresDelayAndBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFailures(onlyAlice, errTooMany)
		f.SetLimit(3)
		for i, want := range []time.Duration{0, 0, time.Second} {
			if reply, took := login(t, f, "192.0.2.1", "mallory"); reply.Status != zap.Refused || took != want {
				t.Errorf("refusal %d: status %d after %v, want 400 after %v", i+1, reply.Status, took, want)
			}
		}
		if reply, _ := login(t, f, "192.0.2.1", "alice"); reply.Status != zap.Temporary || reply.Cause != errTooMany {
			t.Errorf("the address is not blocked: %+v", reply)
		}
		if reply, _ := login(t, f, "192.0.2.2", "mallory"); reply.Status != zap.Temporary {
			t.Errorf("the user name is not blocked from another address: %+v", reply)
		}
		if reply, _ := login(t, f, "192.0.2.2", "alice"); reply.Status != zap.OK {
			t.Errorf("another user from another address is blocked: %+v", reply)
		}
		if !f.Blocked(netip.MustParseAddr("192.0.2.1")) || f.Blocked(netip.MustParseAddr("192.0.2.2")) {
			t.Error("Blocked reports the wrong address")
		}
		time.Sleep(failureWindow)
		if reply, _ := login(t, f, "192.0.2.1", "alice"); reply.Status != zap.OK {
			t.Errorf("still blocked after the window: %+v", reply)
		}
	})
}

func TestFailuresWithoutLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFailures(onlyAlice, errTooMany)
		for range 20 {
			if reply, took := login(t, f, "192.0.2.1", "mallory"); reply.Status != zap.Refused || took != 0 {
				t.Fatalf("status %d after %v, want 400 at once", reply.Status, took)
			}
		}
	})
}

func TestFailuresIgnoreNULL(t *testing.T) {
	f := NewFailures(onlyAlice, errTooMany)
	f.SetLimit(1)
	for range 2 {
		reply, err := f.Authenticate(t.Context(), &zap.Request{Address: "192.0.2.1", Mechanism: zap.NULL})
		if err != nil || reply.Status != zap.Refused {
			t.Fatalf("%+v, %v", reply, err)
		}
	}
}

func TestFailuresTableIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFailures(onlyAlice, errTooMany)
		f.add("first")
		time.Sleep(failureWindow)
		for i := range maxTracked + 10 {
			f.add(fmt.Sprint(i))
		}
		if len(f.counts) > maxTracked {
			t.Errorf("%d names are tracked, want at most %d", len(f.counts), maxTracked)
		}
		if f.counts["first"] != nil {
			t.Error("an expired count was kept while others had to go")
		}
	})
}
