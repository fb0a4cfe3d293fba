package clientaddr

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"testing"
)

func TestLocate(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.1.0.0/16")}
	for _, tc := range []struct {
		name   string
		remote string
		tls    bool
		header http.Header
		want   Client
		fails  bool
	}{
		{name: "direct with TLS", remote: "192.0.2.7:4000", tls: true,
			want: Client{Address: netip.MustParseAddr("192.0.2.7"), Secure: true}},
		{name: "direct in the clear", remote: "192.0.2.7:4000",
			want: Client{Address: netip.MustParseAddr("192.0.2.7")}},
		{name: "IPv4-mapped is IPv4", remote: "[::ffff:192.0.2.7]:4000",
			want: Client{Address: netip.MustParseAddr("192.0.2.7")}},
		{name: "zone is stripped", remote: "[fe80::1%eth0]:4000",
			want: Client{Address: netip.MustParseAddr("fe80::1")}},
		{name: "loopback without a proxy", remote: "[::1]:4000",
			want: Client{Address: netip.MustParseAddr("::1"), Local: true}},
		{name: "loopback with forwarding headers of an unknown proxy", remote: "[::1]:4000",
			header: http.Header{"X-Forwarded-For": {"192.0.2.9"}, "X-Forwarded-Proto": {"https"}},
			want:   Client{Address: netip.MustParseAddr("::1")}},
		{name: "untrusted proxy cannot forge", remote: "192.0.2.7:4000",
			header: http.Header{"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Proto": {"https"}},
			want:   Client{Address: netip.MustParseAddr("192.0.2.7")}},
		{name: "trusted proxy", remote: "127.0.0.1:4000",
			header: http.Header{"X-Forwarded-For": {"192.0.2.9"}, "X-Forwarded-Proto": {"https"}},
			want:   Client{Address: netip.MustParseAddr("192.0.2.9"), Secure: true}},
		{name: "trusted proxy without https", remote: "127.0.0.1:4000",
			header: http.Header{"X-Forwarded-For": {"192.0.2.9"}, "X-Forwarded-Proto": {"http"}},
			want:   Client{Address: netip.MustParseAddr("192.0.2.9")}},
		{name: "trusted proxy that adds to what the client says", remote: "127.0.0.1:4000",
			header: http.Header{"X-Forwarded-For": {"192.0.2.9"}, "X-Forwarded-Proto": {"https", "http"}},
			want:   Client{Address: netip.MustParseAddr("192.0.2.9")}},
		{name: "Traefik says wss for a WebSocket", remote: "127.0.0.1:4000",
			header: http.Header{"X-Forwarded-For": {"192.0.2.9"}, "X-Forwarded-Proto": {"wss"}},
			want:   Client{Address: netip.MustParseAddr("192.0.2.9"), Secure: true}},
		{name: "chain of proxies, all reached by TLS", remote: "127.0.0.1:4000",
			header: http.Header{"X-Forwarded-For": {"192.0.2.9, 10.1.2.3"}, "X-Forwarded-Proto": {"HTTPS, wss"}},
			want:   Client{Address: netip.MustParseAddr("192.0.2.9"), Secure: true}},
		{name: "chain of proxies, one in the clear", remote: "127.0.0.1:4000",
			header: http.Header{"X-Forwarded-For": {"192.0.2.9, 10.1.2.3"}, "X-Forwarded-Proto": {"https, ws"}},
			want:   Client{Address: netip.MustParseAddr("192.0.2.9")}},
		{name: "Forwarded", remote: "127.0.0.1:4000",
			header: http.Header{"Forwarded": {`for=198.51.100.1;proto=http, For="[2001:db8::1]:4711";Proto=https;by=10.1.0.1`}},
			want:   Client{Address: netip.MustParseAddr("2001:db8::1")}},
		{name: "Forwarded, all by TLS", remote: "127.0.0.1:4000",
			header: http.Header{"Forwarded": {`for=192.0.2.9;proto=https`, `for=10.1.2.3;proto=https`}},
			want:   Client{Address: netip.MustParseAddr("192.0.2.9"), Secure: true}},
		{name: "Forwarded without proto", remote: "127.0.0.1:4000",
			header: http.Header{"Forwarded": {`for=192.0.2.9`}},
			want:   Client{Address: netip.MustParseAddr("192.0.2.9")}},
		{name: "Forwarded beside X-Forwarded-For is the client's", remote: "127.0.0.1:4000",
			header: http.Header{"Forwarded": {`for=127.0.0.1;proto=https`}, "X-Forwarded-For": {"192.0.2.9"}},
			want:   Client{Address: netip.MustParseAddr("192.0.2.9")}},
		{name: "Forwarded from an unknown client", remote: "127.0.0.1:4000",
			header: http.Header{"Forwarded": {`for=unknown`}}, fails: true},
		{name: "Forwarded that is malformed", remote: "127.0.0.1:4000",
			header: http.Header{"Forwarded": {`192.0.2.9`}}, fails: true},
		{name: "rightmost outside the trusted ones", remote: "127.0.0.1:4000",
			header: http.Header{"X-Forwarded-For": {"198.51.100.1, 192.0.2.9", "10.1.2.3"}, "X-Forwarded-Proto": {"https"}},
			want:   Client{Address: netip.MustParseAddr("192.0.2.9"), Secure: true}},
		{name: "only trusted ones", remote: "127.0.0.1:4000",
			header: http.Header{"X-Forwarded-For": {"10.1.0.1, 10.1.2.3"}, "X-Forwarded-Proto": {"https"}},
			want:   Client{Address: netip.MustParseAddr("10.1.0.1"), Secure: true}},
		{name: "with port", remote: "127.0.0.1:4000",
			header: http.Header{"X-Forwarded-For": {"[2001:db8::1]:555"}},
			want:   Client{Address: netip.MustParseAddr("2001:db8::1")}},
		{name: "not an address", remote: "127.0.0.1:4000",
			header: http.Header{"X-Forwarded-For": {"192.0.2.9, unknown"}}, fails: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &http.Request{RemoteAddr: tc.remote, Header: tc.header}
			if tc.tls {
				r.TLS = new(tls.ConnectionState)
			}
			got, err := Locate(r, trusted)
			if (err != nil) != tc.fails {
				t.Fatalf("error %v, want failure %v", err, tc.fails)
			}
			if got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}
