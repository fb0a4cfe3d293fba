package discover

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/internal/dnssd"
)

// TestAnnouncedKeys: the key of an instance counts only if the route trusts it.
func TestAnnouncedKeys(t *testing.T) {
	known, err := certs.DecodeKey(aKey)
	if err != nil {
		t.Fatal(err)
	}
	other := [32]byte{7}
	trusts := func(k [32]byte) bool { return k == known }
	all := func([32]byte) bool { return true }
	routeKey := [32]byte{1}
	for _, c := range []struct {
		name    string
		o       DNSSDOptions
		text    []string
		key     [32]byte
		ignored string
	}{
		{"NULL", DNSSDOptions{Trusts: trusts}, []string{"curve=" + aKey}, [32]byte{}, ""},
		{"listed", DNSSDOptions{NeedsKey: true, Trusts: trusts}, []string{"a=1", "CURVE=" + aKey}, known, ""},
		{"not listed", DNSSDOptions{NeedsKey: true, Trusts: trusts}, []string{"curve=" + certs.EncodeKey(other)}, [32]byte{}, "is not in server_keys"},
		{"not listed, and the route has a key", DNSSDOptions{NeedsKey: true, Trusts: trusts, RouteKey: routeKey}, []string{"curve=" + certs.EncodeKey(other)}, [32]byte{}, ""},
		{"any", DNSSDOptions{NeedsKey: true, Trusts: all}, []string{"curve=" + certs.EncodeKey(other)}, other, ""},
		{"none", DNSSDOptions{NeedsKey: true, Trusts: all}, nil, [32]byte{}, "announces no key"},
		{"bad", DNSSDOptions{NeedsKey: true, Trusts: all}, []string{"curve=x"}, [32]byte{}, "not a CURVE public key"},
		{"none, and the route has a key", DNSSDOptions{NeedsKey: true, Trusts: all, RouteKey: routeKey}, nil, [32]byte{}, ""},
	} {
		a := &announced{o: c.o}
		r := a.endpoints([]dnssd.Service{{Instance: "x", Addr: netip.MustParseAddrPort("[fe80::1%eth0]:5556"), Text: c.text}})
		if c.ignored != "" {
			if len(r.Endpoints) != 0 || !strings.Contains(r.Ignored, c.ignored) {
				t.Errorf("%s: %v, want it ignored: %s", c.name, r, c.ignored)
			}
			continue
		}
		if len(r.Endpoints) != 1 || r.Endpoints[0] != (Endpoint{"tcp://[fe80::1%eth0]:5556", c.key}) || r.Ignored != "" {
			t.Errorf("%s: %v", c.name, r)
		}
	}
}

// TestAnnouncedFailure: a network that cannot be used is reported, and tried again.
func TestAnnouncedFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		tries := 0
		a := &announced{browse: func(ctx context.Context, _ string, report func([]dnssd.Service)) error {
			if tries++; tries < 3 {
				return errors.New("no network")
			}
			report([]dnssd.Service{{Addr: netip.MustParseAddrPort("192.0.2.1:1")}})
			cancel()
			return ctx.Err()
		}}
		var got []string
		a.Run(ctx, func(r Report) {
			if r.Err != nil {
				got = append(got, r.Err.Error())
			}
			got = append(got, addresses(r.Endpoints)...)
		})
		if strings.Join(got, ", ") != "no network, tcp://192.0.2.1:1" {
			t.Errorf("reported %q", got)
		}
	})
}
