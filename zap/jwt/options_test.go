package jwt

import (
	"path/filepath"
	"testing"
)

// TestRequireAud: with AllowNoAudience a token without aud is accepted; one for another
// audience is not.
func TestRequireAud(t *testing.T) {
	dir := t.TempDir()
	k := minted(t, dir, "k.pem", "ES256")
	strict, lax := idp(dir), idp(dir)
	lax.AllowNoAudience = true
	for _, tt := range []struct {
		name          string
		aud           any
		strict, loose string
	}{
		{"none", nil, "400", "200"},
		{"ours", "zwsbridge", "200", "200"},
		{"ours in a list", []any{"other", "zwsbridge"}, "200", "200"},
		{"another", "other", "400", "400"},
		{"others", []any{"other", "third"}, "400", "400"},
		{"an empty list", []any{}, "400", "400"},
		{"an empty string", "", "400", "400"},
		{"a number", 5, "400", "400"},
		{"an object", map[string]any{"zwsbridge": true}, "400", "400"},
	} {
		token := signed(t, k, map[string]any{"aud": tt.aud})
		if got := verdict(ask(t, start(t, strict, 0), token)); got != tt.strict {
			t.Errorf("aud %s: %s, want %s", tt.name, got, tt.strict)
		}
		if got := verdict(ask(t, start(t, lax, 0), token)); got != tt.loose {
			t.Errorf("aud %s with AllowNoAudience: %s, want %s", tt.name, got, tt.loose)
		}
	}
	// A null is not the same as no claim.
	token, err := k.Sign(map[string]any{"iss": "https://idp.example", "aud": nil, "sub": "ann", "exp": 1 << 35})
	must(t, err)
	if got := verdict(ask(t, start(t, lax, 0), token)); got != "400" {
		t.Errorf("aud null: %s, want 400", got)
	}
}

// TestLoginOnly: a token without scopes for this resource server has no grant, so that the
// rules of the routes decide. A token with a scope meant for it, even an invalid one, keeps
// its grant.
func TestLoginOnly(t *testing.T) {
	dir := t.TempDir()
	k := minted(t, dir, "k.pem", "ES256")
	details := func(kind string) []any {
		return []any{map[string]any{"type": kind, "locations": "cluster:zwsbridge", "actions": "nothing"}}
	}
	for _, tt := range []struct {
		name    string
		changes map[string]any
		prefix  string
		login   bool
	}{
		{"no claim", nil, "zwsbridge.", true},
		{"an empty scope", map[string]any{"scope": ""}, "zwsbridge.", true},
		{"scopes of others", map[string]any{"scope": "openid email aws.cognito.signin.user.admin"}, "zwsbridge.", true},
		{"scopes of others, listed", map[string]any{"scope": []any{"openid", "other.read:*/*"}}, "zwsbridge.", true},
		{"another source", map[string]any{"roles": []any{"user"}}, "zwsbridge.", true},
		{"details of another type", map[string]any{"authorization_details": details("other")}, "zwsbridge.", true},
		{"no prefix, scopes of others", map[string]any{"scope": "openid urn:x"}, "", true},
		{"ours", map[string]any{"scope": "zwsbridge.read:*/*"}, "zwsbridge.", false},
		{"ours among others", map[string]any{"scope": "openid zwsbridge.read:*/*"}, "zwsbridge.", false},
		{"ours, malformed", map[string]any{"scope": "zwsbridge.read:a/b/c/d"}, "zwsbridge.", false},
		{"ours, unknown permission", map[string]any{"scope": "zwsbridge.delete"}, "zwsbridge.", false},
		{"ours, only a tag", map[string]any{"scope": "zwsbridge.tag:monitoring"}, "zwsbridge.", false},
		{"ours by alias", map[string]any{"scope": "reader"}, "zwsbridge.", false},
		{"ours in another source", map[string]any{"roles": []any{"zwsbridge.write:x/y"}}, "zwsbridge.", false},
		{"ours in an object", map[string]any{"roles": map[string]any{"zwsbridge": "read:*/*"}}, "zwsbridge.", false},
		{"ours in an object, empty", map[string]any{"roles": map[string]any{"zwsbridge": ""}}, "zwsbridge.", false},
		{"details of ours", map[string]any{"authorization_details": details("zeromq")}, "zwsbridge.", false},
		{"no prefix, ours malformed", map[string]any{"scope": "read:a"}, "", false},
	} {
		o := idp(dir)
		o.ScopePrefix, o.ExtraScopesSource, o.ResourceServerType = tt.prefix, "roles", "zeromq"
		o.ScopeAliases = map[string][]string{"reader": {"zwsbridge.read:*/*"}}
		for _, loginOnly := range []bool{false, true} {
			o.LoginOnly = loginOnly
			reply, err := ask(t, start(t, o, 0), signed(t, k, tt.changes))
			if got := verdict(reply, err); got != "200" {
				t.Fatalf("%s: %s, want 200", tt.name, got)
			}
			if none := len(reply.Grants) == 0; none != (loginOnly && tt.login) {
				t.Errorf("%s, LoginOnly %v: grants %v", tt.name, loginOnly, reply.Grants)
			}
		}
	}
	// A reload that changes the option revokes logins without a grant.
	o := idp(dir)
	o.LoginOnly = true
	login, err := ask(t, start(t, o, 0), signed(t, k, nil))
	must(t, err)
	if start(t, o, 0).Revoked(login) {
		t.Error("revoked by the same options")
	}
	o.LoginOnly = false
	if !start(t, o, 0).Revoked(login) {
		t.Error("not revoked without LoginOnly")
	}
}

// TestOptions: invalid options are errors.
func TestOptions(t *testing.T) {
	dir := t.TempDir()
	minted(t, dir, "k.pem", "ES256")
	for name, change := range map[string]func(*Options){
		"no algorithm":       func(o *Options) { o.Algorithms = nil },
		"none":               func(o *Options) { o.Algorithms = []string{"none"} },
		"unknown algorithm":  func(o *Options) { o.Algorithms = []string{"RS256", "ES256K"} },
		"no audience":        func(o *Options) { o.ResourceServerID = "" },
		"no keys":            func(o *Options) { o.Keys = nil },
		"no issuer to find":  func(o *Options) { o.Discovery, o.Issuer = true, "" },
		"two places":         func(o *Options) { o.Discovery, o.JWKSURL = true, "https://idp.example/jwks" },
		"keys by http":       func(o *Options) { o.JWKSURL = "http://idp.example/jwks" },
		"negative leeway":    func(o *Options) { o.Leeway = -1 },
		"negative timeout":   func(o *Options) { o.Timeout = -1 },
		"a file that is not": func(o *Options) { o.Keys = []string{filepath.Join(dir, "none.pem")} },
	} {
		o := idp(dir)
		change(&o)
		if a, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
			must(t, a.Close())
		}
	}
}
