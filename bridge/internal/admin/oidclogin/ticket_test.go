package oidclogin

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// TestTicket: a ticket is valid for its lifetime and only for the client that made it.
func TestTicket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(Options{Issuer: "https://idp.example", ClientID: "page"})
		cookie := c.seal(ticket{State: "s", Nonce: "n", Verifier: "v", Until: time.Now().Add(TicketLife)})
		if _, err := New(c.o).open(cookie); !errors.Is(err, errBadTicket) {
			t.Errorf("at another client: %v", err)
		}
		time.Sleep(TicketLife - time.Nanosecond)
		got, err := c.open(cookie)
		if err != nil || got.State != "s" || got.Nonce != "n" || got.Verifier != "v" {
			t.Errorf("just before its end: %v, %v", got, err)
		}
		time.Sleep(time.Nanosecond)
		if _, err := c.open(cookie); !errors.Is(err, errTicketExpired) {
			t.Errorf("at its end: %v", err)
		}
	})
}

// TestUsedTickets: a ticket is used once, also if two use it at the same time, and the memory
// of used tickets is bounded.
func TestUsedTickets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var u usedTickets
		for i := range maxUsed + 100 {
			if tk := (&ticket{State: strconv.Itoa(i), Until: time.Now().Add(TicketLife)}); !u.add(tk) || u.add(tk) {
				t.Fatalf("ticket %d is not used exactly once", i)
			}
			time.Sleep(time.Nanosecond)
		}
		if len(u.until) != maxUsed {
			t.Errorf("%d tickets remembered, want %d", len(u.until), maxUsed)
		}
		time.Sleep(TicketLife)
		u.add(&ticket{State: "later", Until: time.Now().Add(TicketLife)})
		if len(u.until) != 1 {
			t.Errorf("%d tickets remembered after all others have expired, want 1", len(u.until))
		}
	})
	c := New(Options{Issuer: "http://127.0.0.1:1", ClientID: "page"})
	cookie := c.seal(ticket{State: "s", Until: time.Now().Add(TicketLife)})
	reasons := make(chan Reason, 10)
	for range cap(reasons) {
		go func() {
			_, err := c.Finish(t.Context(), cookie, url.Values{"state": {"s"}, "error": {"x"}})
			failed, _ := errors.AsType[*Error](err)
			reasons <- failed.Reason
		}()
	}
	first := 0
	for range cap(reasons) {
		if <-reasons == Declined {
			first++
		}
	}
	if first != 1 {
		t.Errorf("%d of %d used the ticket, want 1", first, cap(reasons))
	}
	// A state that does not match does not use the ticket up.
	cookie = c.seal(ticket{State: "t", Until: time.Now().Add(TicketLife)})
	for _, state := range []string{"forged", "", "t"} {
		_, err := c.Finish(t.Context(), cookie, url.Values{"state": {state}, "error": {"x"}})
		if failed, _ := errors.AsType[*Error](err); (failed.Reason == Declined) != (state == "t") {
			t.Errorf("state %q: %v", state, err)
		}
	}
}

// TestExchanges: the number of concurrent exchanges is limited, and a waiting login can be
// canceled.
func TestExchanges(t *testing.T) {
	c := New(Options{Issuer: "https://idp.example", ClientID: "page"})
	for range MaxExchanges {
		c.exchanges <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cookie := c.seal(ticket{State: "s", Until: time.Now().Add(TicketLife)})
	_, err := c.Finish(ctx, cookie, url.Values{"state": {"s"}, "code": {"c"}})
	if failed, ok := errors.AsType[*Error](err); !ok || failed.Reason != Unavailable || !errors.Is(err, context.Canceled) {
		t.Errorf("one more: %v", err)
	}
}
