package jwt

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zwsbridge/zwsbridge/zap"
)

// grants describes what a login's scopes grant, sorted.
func grants(reply *zap.Reply) (list []string) {
	for _, s := range reply.Grants[0].(*permissions).scopes {
		list = append(list, s.String())
	}
	slices.Sort(list)
	return list
}

// rabbitmq returns the options of RabbitMQ's OAuth 2.0 tutorial.
func rabbitmq(keys string) Options {
	o := idp(keys)
	o.ResourceServerID, o.ScopePrefix, o.ResourceServerType = "rabbitmq", "rabbitmq.", "rabbitmq"
	o.Issuer = ""
	return o
}

// TestTutorial accepts the tokens of RabbitMQ's OAuth 2.0 tutorial.
func TestTutorial(t *testing.T) {
	dir := t.TempDir()
	k := minted(t, dir, "legacy-token-key.json", "HS256")
	list := func(words ...any) []any { return words }
	for _, c := range []struct {
		name    string
		options func(o *Options)
		claims  map[string]any
		user    string
		grants  []string
		tags    string
	}{
		{
			name:   "a management user of UAA",
			claims: map[string]any{"sub": "b0a", "user_name": "rabbit_admin", "client_id": "rabbit_client_code", "scope": list("rabbitmq.tag:administrator", "openid"), "aud": list("rabbit_client_code", "rabbitmq", "openid")},
			options: func(o *Options) {
				o.PreferredUsernameClaims = []string{"user_name"}
			},
			user: "rabbit_admin", grants: []string{"the tag administrator"}, tags: "administrator",
		},
		{
			name:   "monitoring only",
			claims: map[string]any{"sub": "mon", "scope": "rabbitmq.tag:monitoring"},
			user:   "mon", grants: []string{"the tag monitoring"}, tags: "monitoring",
		},
		{
			name:   "a producer",
			claims: map[string]any{"sub": nil, "client_id": "producer", "scope": list("rabbitmq.read:*/*", "rabbitmq.write:uaa_vhost/x-*", "rabbitmq.configure:*/*")},
			user:   "producer",
			grants: []string{`configure in domain "*" on route "*"`, `read in domain "*" on route "*"`, `write in domain "uaa_vhost" on route "x-*"`},
		},
		{
			name:   "MQTT: three parts",
			claims: map[string]any{"scope": "rabbitmq.write:*/*/* rabbitmq.read:*/*/*"},
			user:   "ann",
			grants: []string{`read in domain "*" on route "*", topic "*"`, `write in domain "*" on route "*", topic "*"`},
		},
		{
			name: "aliases",
			options: func(o *Options) {
				o.ScopeAliases = map[string][]string{
					"api://rabbitmq:Read.All": {"rabbitmq.read:*/*"},
					"rabbitmq.role.producer":  {"rabbitmq.write:*/*", "rabbitmq.tag:monitoring"},
				}
			},
			claims: map[string]any{"scope": "api://rabbitmq:Read.All rabbitmq.role.producer"},
			user:   "ann", grants: []string{`read in domain "*" on route "*"`, "the tag monitoring", `write in domain "*" on route "*"`}, tags: "monitoring",
		},
		{
			name: "roles with aliases, in a separate claim",
			options: func(o *Options) {
				o.ExtraScopesSource = "roles"
				o.ScopeAliases = map[string][]string{"reader": {"rabbitmq.read:*/*"}}
			},
			claims: map[string]any{"scope": "rabbitmq.write:a/b", "roles": list("reader", "cook")},
			user:   "ann", grants: []string{`read in domain "*" on route "*"`, `write in domain "a" on route "b"`},
		},
		{
			name: "extra scopes instead of scope",
			options: func(o *Options) {
				o.ExtraScopesSource, o.ReplaceScopes = "extra_scope", true
			},
			claims: map[string]any{"scope": "rabbitmq.write:a/b", "extra_scope": "rabbitmq.read:a/b"},
			user:   "ann", grants: []string{`read in domain "a" on route "b"`},
		},
		{
			name:    "extra scopes by resource server, without prefix",
			options: func(o *Options) { o.ExtraScopesSource = "complex.claim" },
			claims:  map[string]any{"complex": map[string]any{"claim": map[string]any{"rabbitmq": list("read:a/b"), "other": list("write:*/*")}}},
			user:    "ann", grants: []string{`read in domain "a" on route "b"`},
		},
		{
			name:    "Keycloak's permissions",
			options: func(o *Options) { o.ExtraScopesSource = "authorization.permissions.scopes" },
			claims: map[string]any{"authorization": map[string]any{"permissions": list(
				map[string]any{"scopes": list("rabbitmq.read:a/b"), "rsname": "x"},
				map[string]any{"scopes": list("rabbitmq.write:a/b", "rabbitmq.read:a/b")},
			)}},
			user: "ann", grants: []string{`read in domain "a" on route "b"`, `write in domain "a" on route "b"`},
		},
		{
			name:    "a claim whose name is a URL",
			options: func(o *Options) { o.ExtraScopesSource = "https://portal.example/roles.list" },
			claims:  map[string]any{"https://portal.example/roles": map[string]any{"list": "rabbitmq.read:a/b"}},
			user:    "ann", grants: []string{`read in domain "a" on route "b"`},
		},
		{
			name: "scopes with spaces in a list",
			options: func(o *Options) {
				o.ExtraScopesSource = "groups"
				o.ScopeAliases = map[string][]string{"Night Shift": {"rabbitmq.read:a/b"}}
			},
			claims: map[string]any{"groups": list("Night Shift", "x rabbitmq.write:*/*", 7), "scope": list("openid rabbitmq.read:*/*", "rabbitmq.write:a/b c")},
			user:   "ann", grants: []string{`read in domain "a" on route "b"`, `write in domain "a" on route "b c"`},
		},
		{
			name:   "separators in a string",
			claims: map[string]any{"scope": " rabbitmq.read:a/b  rabbitmq.write:c/d\u00a0e rabbitmq.write:c/d\te "},
			user:   "ann", grants: []string{`read in domain "a" on route "b"`, "write in domain \"c\" on route \"d\te\"", "write in domain \"c\" on route \"d\u00a0e\""},
		},
		{
			name:    "no prefix",
			options: func(o *Options) { o.ScopePrefix = "" },
			claims:  map[string]any{"scope": "read:*/* rabbitmq.write:*/* openid"},
			user:    "ann", grants: []string{`read in domain "*" on route "*"`},
		},
		{
			name:   "another server's scopes",
			claims: map[string]any{"scope": "other.read:*/* rabbitmqread:*/* Rabbitmq.read:*/*"},
			user:   "ann",
		},
		{
			name: "authorization details of the tutorial",
			claims: map[string]any{"authorization_details": list(
				map[string]any{"type": "rabbitmq", "locations": list("cluster:rabbitmq/vhost:primary-*"), "actions": list("read", "write", "configure")},
				map[string]any{"type": "rabbitmq", "locations": list("cluster:rabbitmq"), "actions": list("administrator")},
			)},
			user:   "ann",
			grants: []string{`configure in domain "primary-*" on route "*", topic "*"`, `read in domain "primary-*" on route "*", topic "*"`, "the tag administrator", `write in domain "primary-*" on route "*", topic "*"`},
			tags:   "administrator",
		},
		{
			name: "authorization details: tags by the name of their scope",
			claims: map[string]any{"authorization_details": list(
				map[string]any{"type": "rabbitmq", "locations": "cluster:*", "actions": "tag:administrator"},
			)},
			user: "ann", grants: []string{"the tag administrator"}, tags: "administrator",
		},
		{
			name: "authorization details with our names",
			claims: map[string]any{"authorization_details": list(
				map[string]any{"type": "rabbitmq", "locations": list("cluster:rabbit*/domain:global/route:dev%2Fices/topic:house.*", "topic:x/cluster:rabbitmq/colour:red"), "actions": "read"},
			)},
			user:   "ann",
			grants: []string{`read in domain "*" on route "*", topic "x"`, `read in domain "global" on route "dev/ices", topic "house.*"`},
		},
		{
			name: "authorization details that grant nothing",
			claims: map[string]any{"authorization_details": list(
				map[string]any{"type": "other", "locations": "cluster:rabbitmq", "actions": "read"},
				map[string]any{"type": "rabbitmq", "locations": "cluster:finance", "actions": "read"},
				map[string]any{"type": "rabbitmq", "locations": "vhost:*", "actions": "read"},
				map[string]any{"type": "rabbitmq", "locations": "cluster:rabbitmq/queue:a/exchange:b", "actions": "read"},
				map[string]any{"type": "rabbitmq", "locations": "cluster:%zz", "actions": "read"},
				map[string]any{"type": "rabbitmq", "locations": "cluster:rabbitmq", "actions": "delete"},
				map[string]any{"type": "rabbitmq", "locations": list(1), "actions": "read"},
				map[string]any{"type": "rabbitmq", "actions": "read"},
				map[string]any{"locations": "cluster:rabbitmq", "actions": "read"}, "text",
			)},
			user: "ann",
		},
		{
			name: "an equal queue and exchange",
			claims: map[string]any{"authorization_details": list(
				map[string]any{"type": "rabbitmq", "locations": "cluster:rabbitmq/queue:a/exchange:a/routing-key:k", "actions": "write"},
			)},
			user: "ann", grants: []string{`write in domain "*" on route "a", topic "k"`},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := rabbitmq(dir)
			if c.options != nil {
				c.options(&o)
			}
			given := map[string]any{"aud": list("rabbitmq", "producer")}
			for name, v := range c.claims {
				given[name] = v
			}
			reply, err := ask(t, start(t, o, 0), signed(t, k, given))
			if verdict(reply, err) != "200" {
				t.Fatalf("%+v, %v", reply, err)
			}
			if reply.UserID != c.user || reply.Metadata.Get("Tags") != c.tags {
				t.Errorf("user %q with tags %q, want %q with %q", reply.UserID, reply.Metadata.Get("Tags"), c.user, c.tags)
			}
			if diff := cmp.Diff(c.grants, grants(reply)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestMaxScopes: the limit, and one scope more.
func TestMaxScopes(t *testing.T) {
	dir := t.TempDir()
	k := minted(t, dir, "k.json", "HS256")
	o := idp(dir)
	o.ScopePrefix = ""
	// A short scope and a short alias, so that the token fits.
	var short []string
	for i := range MaxScopes {
		short = append(short, fmt.Sprintf("%x", i))
	}
	o.ScopeAliases = map[string][]string{"all": nil}
	for i := range MaxScopes {
		o.ScopeAliases["all"] = append(o.ScopeAliases["all"], fmt.Sprintf("read:a/%d", i))
	}
	o.ScopeAliases["more"] = []string{"read:b/b"}
	a := start(t, o, 0)
	for scope, want := range map[string]string{
		strings.Join(short, " "):         "200",
		strings.Join(short, " ") + " x":  "400",
		"all":                            "200",
		"all all":                        "200", // duplicates count once
		"all more":                       "400",
		strings.Repeat("openid ", 1_000): "200",
	} {
		if got := verdict(ask(t, a, signed(t, k, map[string]any{"scope": scope}))); got != want {
			t.Errorf("%.20s…: %s, want %s", scope, got, want)
		}
	}
}

// TestReply: the reply's claims and metadata.
func TestReply(t *testing.T) {
	dir := t.TempDir()
	k := minted(t, dir, "k.pem", "EdDSA")
	o := idp(dir)
	o.Leeway = 60e9
	a := start(t, o, 1_800_000_000)
	reply, err := ask(t, a, signed(t, k, map[string]any{
		"exp": 1_800_000_000 - 59, "groups": []any{"a", "b", 7, true, nil}, "realm": map[string]any{"roles": []any{"x"}, "deep": map[string]any{"n": 12345678901234567890.0}},
		"scope": "zwsbridge.tag:a zwsbridge.tag:b zwsbridge.tag:a",
	}))
	if verdict(reply, err) != "200" {
		t.Fatalf("%+v, %v", reply, err)
	}
	if diff := cmp.Diff(zap.Metadata{{Name: "Expires", Value: "1800000001"}, {Name: "Tags", Value: "a b"}}, reply.Metadata); diff != "" {
		t.Error(diff)
	}
	for name, want := range map[string][]string{
		"groups": {"a", "b", "7", "true"}, "realm.roles": {"x"}, "sub": {"ann"}, "realm.deep.n": {"12345678901234567000"}, "none": nil,
	} {
		if diff := cmp.Diff(want, reply.Claims[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	// Without leeway the same token has expired; without exp it has not.
	o.Leeway = 0
	if got := verdict(ask(t, start(t, o, 1_800_000_000), signed(t, k, map[string]any{"exp": 1_800_000_000 - 59}))); got != "400" {
		t.Errorf("without leeway: %s, want 400", got)
	}
	o.AllowNoExpiry = true
	reply, err = ask(t, start(t, o, 0), signed(t, k, map[string]any{"exp": nil}))
	if verdict(reply, err) != "200" || reply.Metadata.Get("Expires") != "" {
		t.Errorf("without exp: %+v, %v", reply, err)
	}
}

// TestUser: which claim gives the user id.
func TestUser(t *testing.T) {
	dir := t.TempDir()
	k := minted(t, dir, "k.pem", "EdDSA")
	o := idp(dir)
	o.PreferredUsernameClaims = []string{"preferred_username", "email"}
	a := start(t, o, 0)
	for _, c := range []struct {
		claims map[string]any
		want   string
	}{
		{map[string]any{"preferred_username": "p", "email": "e", "client_id": "c"}, "p"},
		{map[string]any{"email": "e", "client_id": "c"}, "e"},
		{map[string]any{"preferred_username": "", "email": 7, "client_id": "c"}, "ann"},
		{map[string]any{"sub": nil, "client_id": "c"}, "c"},
		{map[string]any{"sub": strings.Repeat("x", MaxUser)}, strings.Repeat("x", MaxUser)},
	} {
		reply, err := ask(t, a, signed(t, k, c.claims))
		if verdict(reply, err) != "200" || reply.UserID != c.want {
			t.Errorf("%v: %+v, %v, want %q", c.claims, reply, err, c.want)
		}
	}
}

// TestExplain: there is a note for each claim and each scope.
func TestExplain(t *testing.T) {
	dir := t.TempDir()
	k := minted(t, dir, "k.pem", "ES256")
	o := idp(dir)
	o.ScopeAliases = map[string][]string{"reader": {"zwsbridge.read:*/*"}}
	token := signed(t, k, map[string]any{"scope": "reader zwsbridge.write:a/b/c/d openid", "groups": []any{"a", "b"}, "realm": map[string]any{"id": 7}})
	_, notes, err := start(t, o, 0).Explain(t.Context(), token+"\n")
	must(t, err)
	var lines []string
	for _, n := range notes {
		if n.Subject != "exp" { // differs each time
			lines = append(lines, fmt.Sprint(n.Good, " ", n.Subject, ": ", n.Text))
		}
	}
	want := []string{
		`true iss: "https://idp.example"`,
		`true alg: ES256`,
		`true signature: by key "k"`,
		`true aud: contains "zwsbridge"`,
		`true sub: "ann": the user`,
		`true scope: "reader": is an alias of ["zwsbridge.read:*/*"]`,
		`true scope: "zwsbridge.read:*/*": grants read in domain "*" on route "*"`,
		`false scope: "zwsbridge.write:a/b/c/d": 4 parts, want domain/route or domain/route/topic: ignored`,
		`false scope: "openid": does not begin with "zwsbridge.": ignored`,
		`true groups: ["a" "b"]: only for {claim.groups} in patterns`,
		`true realm.id: ["7"]: only for {claim.realm.id} in patterns`,
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
}
