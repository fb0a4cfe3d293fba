package zws

import (
	"net/http/httptest"
	"testing"
)

func TestMatchOrigin(t *testing.T) {
	for _, tt := range []struct {
		entry, header  string
		allowed, named bool
	}{
		{"https://portal.example", "https://portal.example", true, true},
		{"https://portal.example", "https://PORTAL.example", true, true},
		{"https://portal.example", "https://portal.example:443", true, true},
		{"https://portal.example:443", "https://portal.example", true, true},
		{"http://portal.example:80", "http://portal.example", true, true},
		{"http://portal.example", "http://portal.example:80", true, true},
		{"https://portal.example:80", "https://portal.example", false, false},
		{"http://portal.example:443", "https://portal.example", false, false},
		{"http://portal.example:443", "http://portal.example", false, false},
		{"https://portal.example:8443", "https://portal.example:8443", true, true},
		{"https://portal.example:8443", "https://portal.example", false, false},
		{"https://portal.example", "http://portal.example", false, false},
		{"https://[2001:db8::1]:443", "https://[2001:db8::1]", true, true},
		{"capacitor://localhost", "capacitor://localhost", true, true},
		{"*", "https://evil.example", true, false},
		{"*", "null", true, false},
		{"https://portal.example", "null", false, false},
		{"https://*.portal.example", "https://a.portal.example", true, false},
		{"https://*.portal.example", "https://a.b.portal.example", true, false},
		{"https://*.portal.example", "https://A.Portal.Example", true, false},
		{"https://*.portal.example:443", "https://a.portal.example", true, false},
		{"https://*.portal.example", "https://a.portal.example:443", true, false},
		{"https://*.portal.example:8443", "https://a.portal.example:8443", true, false},
		{"https://*.portal.example:8443", "https://a.portal.example", false, false},
		{"https://*.portal.example", "https://portal.example", false, false},
		{"https://*.portal.example", "https://.portal.example", false, false},
		{"https://*.portal.example", "https://evilportal.example", false, false},
		{"https://*.portal.example", "https://a.portal.example.evil.example", false, false},
		{"https://*.portal.example", "https://evil.example/.portal.example", false, false},
		{"https://*.portal.example", "https://evil.example#.portal.example", false, false},
		{"https://*.portal.example", "https://evil.example?.portal.example", false, false},
		{"https://*.portal.example", "https://user@a.portal.example", false, false},
		{"https://*.portal.example", "http://a.portal.example", false, false},
		// A program can send the entry itself: that is not a page that is listed by name.
		{"https://*.portal.example", "https://*.portal.example", true, false},
	} {
		if allowed, named := MatchOrigin([]string{tt.entry}, tt.header); allowed != tt.allowed || named != tt.named {
			t.Errorf("%s for %s: allowed %v, named %v", tt.header, tt.entry, allowed, named)
		}
	}
	if _, named := MatchOrigin([]string{"*", "https://*.x.example", "https://a.x.example"}, "https://a.x.example"); !named {
		t.Error("an origin that is listed both ways is not listed by name")
	}
}

func TestValidOrigin(t *testing.T) {
	for text, want := range map[string]bool{
		"*": true, "https://x": true, "https://x:443": true, "https://x:8443": true, "http://127.0.0.1:3000": true, "https://[::1]": true,
		"https://*.x": true, "https://*.x:443": true, "https://*.a.example": true, "capacitor://localhost": true,
		"": false, "x": false, "https://": false, "https://x/": false, "https://x/y": false, "https://x:": false, "https://x:*": false, "https://x:99x": false,
		"null": false, "https://*": false, "https://*.": false, "https://a.*.x": false, "https://a*.x": false, "https://*.*.x": false, "*://x": false,
		"*.x": false, "https://user@x": false, "https://x?y": false, "https://*.0.0.1": false, "https://bücher.example": false, "https://a b": false,
	} {
		if got := ValidOrigin(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// TestSameOrigin: the host that the page was loaded from may have its port spelled out.
func TestSameOrigin(t *testing.T) {
	for _, tt := range []struct {
		host, header string
		secure, want bool
	}{
		{"x.example", "https://x.example", true, true},
		{"x.example:443", "https://x.example", true, true},
		{"x.example", "https://x.example:443", true, true},
		{"x.example:80", "http://x.example", false, true},
		{"x.example:80", "http://x.example", true, false},
		{"x.example:443", "http://x.example", false, false},
		{"x.example:8443", "https://x.example:8443", true, true},
		{"x.example:8443", "https://x.example", true, false},
		{"[::1]:8443", "https://[::1]:8443", true, true},
		{"x.example", "https://y.example", true, false},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = tt.host
		r.Header.Set("Origin", tt.header)
		if got := originNamed(r, &Options{Secure: tt.secure}); got != tt.want {
			t.Errorf("%s at %s: %v, want %v", tt.header, tt.host, got, tt.want)
		}
	}
}
