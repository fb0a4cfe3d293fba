package ip

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
)

func rules(t *testing.T, o Options) *Rules {
	t.Helper()
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRanges: which addresses a range contains, checked through allow and through deny.
func TestRanges(t *testing.T) {
	for _, c := range []struct {
		cidr     string
		in, outs string // separated by spaces
	}{
		{"10.0.0.0/8", "10.0.0.0 10.255.255.255 ::ffff:10.1.2.3 ::ffff:a01:203", "9.255.255.255 11.0.0.0 ::ffff:11.0.0.0 ::10.1.2.3 a00::"},
		{"::ffff:10.0.0.0/104", "10.1.2.3 ::ffff:10.1.2.3", "11.0.0.0 ::a01:203"},
		{"::FFFF:192.168.2.0/112", "192.168.0.1 192.168.255.255", "192.169.0.0 192.167.255.255"},
		{"172.22.0.0/112", "172.22.0.1 172.22.255.255 ::ffff:172.22.9.9", "172.23.0.0 172.21.255.255"},
		{"10.1.2.3/8", "10.0.0.0 10.9.9.9", "11.0.0.0"},
		{"192.0.2.1", "192.0.2.1 ::ffff:192.0.2.1", "192.0.2.0 192.0.2.2"},
		{"192.0.2.1/32", "192.0.2.1", "192.0.2.0 192.0.2.2"},
		{"0.0.0.0/0", "0.0.0.0 255.255.255.255 ::ffff:1.2.3.4", "::1 2001:db8::1"},
		{"::/0", "1.2.3.4 ::1 2001:db8::1", ""},
		{"::0/127", ":: ::1", "::2 127.0.0.1 0.0.0.1"},
		{"2001:db8::/32", "2001:db8:: 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db7:ffff:: 2001:db9:: 32.1.13.184"},
		{"fe80::/10", "fe80::1 fe80::1%eth0 febf::1", "fec0::1"},
		{"::1", "::1", "127.0.0.1 ::2"},
	} {
		allow, deny := rules(t, Options{Allow: []string{c.cidr}}), rules(t, Options{Deny: []string{c.cidr}})
		check := func(address string, in bool) {
			req := &zap.Request{Address: address}
			if got := allow.Authorize(t.Context(), req, &zap.Reply{}) == nil; got != in {
				t.Errorf("allow %s: %s accepted: %v", c.cidr, address, got)
			}
			if got := deny.Authorize(t.Context(), req, &zap.Reply{}) != nil; got != in {
				t.Errorf("deny %s: %s refused: %v", c.cidr, address, got)
			}
		}
		for address := range strings.FieldsSeq(c.in) {
			check(address, true)
		}
		for address := range strings.FieldsSeq(c.outs) {
			check(address, false)
		}
	}
}

func TestAllowAndDeny(t *testing.T) {
	r := rules(t, Options{Allow: []string{"10.0.0.0/8", "fd00::/8"}, Deny: []string{"10.6.0.0/16"}})
	for address, want := range map[string]bool{
		"10.5.0.1": true, "10.6.0.1": false, "::ffff:10.6.0.1": false, "fd12::1": true, "192.0.2.1": false,
		"": false, ":0:0:4711": false, "10.5.0.1:80": false, "localhost": false,
	} {
		err := r.Authorize(t.Context(), &zap.Request{Address: address}, &zap.Reply{Status: zap.OK})
		if (err == nil) != want || err != nil && !errors.Is(err, zap.ErrDenied) {
			t.Errorf("%q: %v, want accepted: %v", address, err, want)
		}
	}
	if rules(t, Options{Deny: []string{"10.0.0.0/8"}}).Authorize(t.Context(), &zap.Request{}, &zap.Reply{}) == nil {
		t.Error("a peer without an address was accepted by deny")
	}
}

// TestTags: RabbitMQ's ip_range as the frenzylabs gateway configures it.
func TestTags(t *testing.T) {
	r := rules(t, Options{
		TagMasks: map[string][]string{
			"administrator": {"::FFFF:192.168.2.0/112", "172.22.0.0/112"},
			"device":        {"10.0.0.0/8"},
		},
		DefaultMasks: []string{"::0/127"},
	})
	open := rules(t, Options{TagMasks: map[string][]string{"administrator": {"10.0.0.0/8"}}, DefaultMasks: []string{"::0/0"}})
	closed := rules(t, Options{TagMasks: map[string][]string{"administrator": {"10.0.0.0/8"}}})
	both := rules(t, Options{Deny: []string{"10.6.0.0/16"}, DefaultMasks: []string{"10.0.0.0/8"}})
	for _, c := range []struct {
		rules   *Rules
		tags    string
		address string
		want    bool
	}{
		{r, "administrator", "192.168.7.7", true},
		{r, "administrator", "172.22.1.1", true},
		{r, "administrator", "10.1.1.1", false},
		{r, "device", "10.1.1.1", true},
		{r, "monitoring device administrator", "10.1.1.1", true},
		{r, "monitoring", "10.1.1.1", false},
		{r, "", "192.168.7.7", false},
		{r, "administrators", "192.168.7.7", false},
		{open, "", "203.0.113.1", true},
		{open, "", "2001:db8::1", true},
		{open, "administrator", "203.0.113.1", false},
		{closed, "", "10.1.1.1", false},
		{closed, "administrator", "10.1.1.1", true},
		{both, "", "10.1.1.1", true},
		{both, "", "10.6.1.1", false},
	} {
		reply := &zap.Reply{Status: zap.OK, Metadata: zap.Metadata{{Name: "Tags", Value: c.tags}}}
		if err := c.rules.Authorize(t.Context(), &zap.Request{Address: c.address}, reply); (err == nil) != c.want {
			t.Errorf("tags %q from %s: %v, want accepted: %v", c.tags, c.address, err, c.want)
		}
	}
}

func TestAuthenticate(t *testing.T) {
	r := rules(t, Options{Allow: []string{"10.0.0.0/8"}})
	for _, c := range []struct {
		mechanism zap.Mechanism
		address   string
		want      zap.Status // 0: passes
	}{
		{zap.NULL, "10.1.2.3", zap.OK},
		{zap.NULL, "192.0.2.1", zap.Refused},
		{zap.NULL, "", zap.Refused},
		{zap.PLAIN, "10.1.2.3", 0},
		{zap.BEARER, "192.0.2.1", 0},
	} {
		reply, err := r.Authenticate(t.Context(), &zap.Request{Mechanism: c.mechanism, Address: c.address})
		switch {
		case c.want == 0:
			if !errors.Is(err, zap.ErrPass) {
				t.Errorf("%+v: reply %v, error %v, want a pass", c, reply, err)
			}
		case err != nil || reply.Status != c.want || reply.UserID != "":
			t.Errorf("%+v: reply %v, error %v", c, reply, err)
		}
	}
}

func TestNewErrors(t *testing.T) {
	for name, o := range map[string]Options{
		"nothing":            {},
		"no address":         {Allow: []string{"localhost"}},
		"empty":              {Allow: []string{""}},
		"33 bits":            {Allow: []string{"10.0.0.0/33"}},
		"95 bits":            {Allow: []string{"10.0.0.0/95"}},
		"129 bits":           {Deny: []string{"::/129"}},
		"negative":           {Deny: []string{"::/-1"}},
		"sign":               {Deny: []string{"::/+1"}},
		"no length":          {Deny: []string{"10.0.0.0/"}},
		"netmask":            {Deny: []string{"10.0.0.0/255.0.0.0"}},
		"zone":               {Deny: []string{"fe80::1%eth0"}},
		"zone with a length": {Deny: []string{"fe80::%eth0/10"}},
		"leading zero":       {Deny: []string{"010.0.0.0/8"}},
		"in tag masks":       {TagMasks: map[string][]string{"a": {"x"}}},
		"in default masks":   {DefaultMasks: []string{"x"}},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

var corpus = []string{"10.0.0.0/8", "::ffff:10.0.0.0/104", "172.22.0.0/112", "::/0", "fe80::1%eth0", "1.2.3.4"}

// FuzzParse: every valid range contains its own address, and its text parses to the same
// range.
func FuzzParse(f *testing.F) {
	if len(corpus) == 0 {
		f.Error("no seeds")
	}
	for _, c := range corpus {
		f.Add(c)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parse(s)
		if err != nil {
			return
		}
		if again, err := parse(p.String()); err != nil || again != p {
			t.Errorf("%q is %v, which is %v, %v", s, p, again, err)
		}
		address, _, _ := strings.Cut(s, "/")
		ip := netip.MustParseAddr(address)
		if !contains([]netip.Prefix{p}, netip.AddrFrom16(ip.As16())) {
			t.Errorf("%q does not contain its own address", s)
		}
	})
}
