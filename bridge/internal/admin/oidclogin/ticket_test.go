package oidclogin

import (
	"context"
	"errors"
	"net/url"
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
