package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/internal/dnssd"
)

// TestPrintServices: a line for each route of a bridge and each endpoint, and nothing that a
// terminal would take for more than text.
func TestPrintServices(t *testing.T) {
	list := []dnssd.Service{
		{Type: "_zmtp._tcp", Instance: "House \x1b[31m7", Addr: netip.MustParseAddrPort("[fe80::1%eth0]:5556"), Text: []string{"curve=x", "\a"}},
		{Type: "_zws._tcp", Instance: "bridge", Host: "h.local", Addr: netip.MustParseAddrPort("192.0.2.1:8443"), Text: []string{"tls=1", "paths=/a,/b"}},
		{Type: "_zws._tcp", Instance: "plain", Addr: netip.MustParseAddrPort("192.0.2.1:80"), Text: []string{"tls=0"}},
	}
	var text, lines strings.Builder
	if err := printServices(&text, list); err != nil {
		t.Fatal(err)
	}
	want := `"House \x1b[31m7"  _zmtp._tcp  tcp://[fe80::1%eth0]:5556  curve=x "\a"
bridge             _zws._tcp   wss://192.0.2.1:8443/a     tls=1 paths=/a,/b
bridge             _zws._tcp   wss://192.0.2.1:8443/b     tls=1 paths=/a,/b
plain              _zws._tcp   ws://192.0.2.1:80          tls=0
`
	if text.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", text.String(), want)
	}
	if err := printServicesJSON(&lines, list[1:2]); err != nil {
		t.Fatal(err)
	}
	want = `{"name":"bridge","type":"_zws._tcp","host":"h.local","address":"192.0.2.1:8443","connect":["wss://192.0.2.1:8443/a","wss://192.0.2.1:8443/b"],"text":["tls=1","paths=/a,/b"]}` + "\n"
	if lines.String() != want {
		t.Errorf("printed %s, want %s", lines.String(), want)
	}
}

// TestAnnouncer: a reload changes what is announced, and only if that has changed.
func TestAnnouncer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	events := make(chan string, 10)
	a := announcer{log: slog.New(slog.DiscardHandler), publish: func(ctx context.Context, p dnssd.Publication, _ *slog.Logger) error {
		events <- fmt.Sprint("+", p.Instance, p.Services[1].Text)
		<-ctx.Done()
		events <- "-" + p.Instance
		return ctx.Err()
	}}
	c := config.Default()
	a.set(c, l)
	c.Server.Announce = "a"
	a.set(c, l)
	a.set(c, l)
	if got := <-events; got != "+a[tls=1 paths=]" {
		t.Errorf("%q", got)
	}
	c.Routes = []config.Route{{Path: "/x"}}
	a.set(c, l)
	c.Server.Announce = ""
	for _, want := range []string{"-a", "+a[tls=1 paths=/x]"} {
		if got := <-events; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	a.set(c, l)
	if got := <-events; got != "-a" {
		t.Errorf("%q", got)
	}
	a.close()
	if len(events) > 0 {
		t.Errorf("%q", <-events)
	}
}
