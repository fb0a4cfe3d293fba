package clientaddr

import "testing"

func TestKnownHost(t *testing.T) {
	own := machine
	defer func() { machine = own }()
	machine = func() string { return "house.lan" }
	allowed := []string{"Bridge.Example", "portal.example:8080", "2001:db8::1"}
	for host, want := range map[string]bool{
		"192.0.2.1":              true,
		"192.0.2.1:8080":         true,
		"[2001:db8::7]":          true,
		"[2001:db8::7]:8080":     true,
		"[fe80::1%25eth0]:8080":  true,
		"localhost":              true,
		"LocalHost:8080":         true,
		"localhost.":             true,
		"localhost.:8080":        true,
		"kitchen.local":          true,
		"Kitchen.LOCAL.:8080":    true,
		"house.lan":              true,
		"HOUSE:8080":             true,
		"bridge.example":         true,
		"bridge.example.:443":    true,
		"portal.example:8080":    true,
		"portal.example":         false,
		"portal.example:8081":    false,
		"":                       false,
		":8080":                  false,
		".":                      false,
		".local":                 false,
		"local":                  false,
		"notlocal":               false,
		"kitchen.local.evil.lan": false,
		"house.evil.lan":         false,
		"localhost.evil.example": false,
		"192.0.2.1.evil.example": false,
		"evil.example":           false,
		"evil.example:127.0.0.1": false,
		"localhost@evil.example": false,
	} {
		if got := KnownHost(host, allowed); got != want {
			t.Errorf("%q: %v, want %v", host, got, want)
		}
	}
	machine = func() string { return "" }
	if KnownHost("", nil) || KnownHost("evil.example", nil) {
		t.Error("on a machine without a name, other hosts are known")
	}
}
