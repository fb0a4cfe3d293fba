package bridge_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// madeInGo returns a configuration that was not loaded from a file, with the SUB route "/d" and
// these authenticators in its chain.
func madeInGo(endpoint string, auth map[string]config.AuthKind) *config.Config {
	c := config.Default()
	c.Routes = []config.Route{{Path: "/d", Socket: zmtp.SUB, Connect: []config.Endpoint{{Endpoint: endpoint}}}}
	c.Auth = make(map[string]config.Auth)
	for name, settings := range auth {
		c.Auth[name] = config.Auth{Settings: settings}
		c.Zap.Chain = append(c.Zap.Chain, config.ChainEntry{Authn: name})
	}
	return c
}

// newBridge creates a bridge without a log, and closes it when the test ends.
func newBridge(t *testing.T, c *config.Config, o bridge.Options) (*bridge.Bridge, error) {
	t.Helper()
	o.Logger = slog.New(slog.DiscardHandler)
	b, err := bridge.New(c, o)
	if err == nil {
		t.Cleanup(func() { must(t, b.Close(context.Background())) })
	}
	return b, err
}

// TestConfigurationMadeInGo checks that New and Reload fill in a configuration that was not
// loaded, and report what is wrong with it instead of panicking.
func TestConfigurationMadeInGo(t *testing.T) {
	made := func() *config.Config {
		return madeInGo("tcp://127.0.0.1:1", map[string]config.AuthKind{
			"sso": &config.JWT{
				Algorithms: []string{"RS256"}, JWKSURL: "https://127.0.0.1:1/keys", Issuer: "https://127.0.0.1:1", ResourceServerID: "id",
			},
			"app": &config.HTTP{UserPath: "http://127.0.0.1:1/user"},
		})
	}
	b, err := newBridge(t, made(), bridge.Options{})
	must(t, err)
	must(t, b.Reload(made()))
	wrong := made()
	wrong.Auth["app"] = config.Auth{}
	if err := b.Reload(wrong); !isConfigError(err) {
		t.Errorf("Reload with a faulty configuration: %v, want a *config.Error", err)
	}
	if _, err := newBridge(t, &config.Config{}, bridge.Options{}); !isConfigError(err) {
		t.Errorf("New with the zero Config: %v, want a *config.Error", err)
	}
}

func isConfigError(err error) bool {
	_, ok := errors.AsType[*config.Error](err)
	return ok
}

// TestJWTMadeInGo checks that a bridge with any settings of a JWT authenticator refuses the
// settings with a *config.Error or refuses a wrong token, and never panics.
func TestJWTMadeInGo(t *testing.T) {
	const keyURL = "https://127.0.0.1:1/keys"
	algorithms := []string{"RS256"}
	for _, tc := range []struct {
		name     string
		settings *config.JWT
		accepted bool
	}{
		{"nil", nil, false},
		{"zero", &config.JWT{}, false},
		{"no resource server", &config.JWT{Algorithms: algorithms, JWKSURL: keyURL}, false},
		{"no keys", &config.JWT{Algorithms: algorithms, ResourceServerID: "id"}, false},
		{"no algorithms", &config.JWT{JWKSURL: keyURL, ResourceServerID: "id"}, false},
		{"unknown algorithm", &config.JWT{Algorithms: []string{"none"}, JWKSURL: keyURL, ResourceServerID: "id"}, false},
		{"missing key file", &config.JWT{Algorithms: algorithms, Keys: config.Paths{"missing.pem"}, ResourceServerID: "id"}, false},
		{"missing authorities", &config.JWT{Algorithms: algorithms, JWKSURL: keyURL, ResourceServerID: "id", CA: "missing.pem"}, false},
		{"discovery without an issuer", &config.JWT{Algorithms: algorithms, Discovery: true, ResourceServerID: "id"}, false},
		{"required fields only", &config.JWT{Algorithms: algorithms, JWKSURL: keyURL, ResourceServerID: "id"}, true},
		{"expiry not required", &config.JWT{Algorithms: algorithms, JWKSURL: keyURL, ResourceServerID: "id", RequireExp: new(false)}, true},
		{"empty scope prefix", &config.JWT{Algorithms: algorithms, JWKSURL: keyURL, ResourceServerID: "id", ScopePrefix: new("")}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := madeInGo("tcp://127.0.0.1:1", map[string]config.AuthKind{"sso": tc.settings})
			b, err := newBridge(t, c, bridge.Options{})
			if tc.accepted && err != nil || !tc.accepted && !isConfigError(err) {
				t.Fatalf("New: %v, want accepted %v, or else a *config.Error", err, tc.accepted)
			}
			if err != nil {
				return
			}
			server := httptest.NewServer(b)
			defer server.Close()
			for _, token := range []string{"x", "e30.e30.", "eyJhbGciOiJSUzI1NiJ9.e30.AAAA"} {
				got := refusal(t, "ws"+strings.TrimPrefix(server.URL, "http")+"/d", bearerLogin(token, zmtp.SUB))
				if got.Code != 4400 && got.Code != 4300 {
					t.Errorf("token %q: %v, want 4400 or 4300", token, got)
				}
			}
		})
	}
}

// TestOptionsHandler checks that Options.Handler decides on logins instead of the chain of the
// configuration, and that a configuration without a chain is accepted with it.
func TestOptionsHandler(t *testing.T) {
	var asked atomic.Int64
	handler := zap.HandlerFunc(func(_ context.Context, r *zap.Request) (*zap.Reply, error) {
		asked.Add(1)
		if user, password, ok := r.Plain(); ok && user == "bob" && password == "bob's secret" {
			return &zap.Reply{Status: zap.OK, UserID: "robert"}, nil
		}
		return &zap.Reply{Status: zap.Refused}, nil
	})
	endpoint := silent(t, zmtp.PUB)
	for name, auth := range map[string]map[string]config.AuthKind{
		"no chain":                              nil,
		"a chain that accepts anonymous logins": {"guests": &config.Anonymous{}},
	} {
		t.Run(name, func(t *testing.T) {
			c := madeInGo(endpoint, auth)
			c.Routes[0].ClientMechanisms = []zap.Mechanism{zap.NULL, zap.PLAIN}
			b, err := newBridge(t, c, bridge.Options{Handler: handler})
			must(t, err)
			server := httptest.NewServer(b)
			defer server.Close()
			url := "ws" + strings.TrimPrefix(server.URL, "http") + "/d"
			before := asked.Load()
			connect(t, url, plainLogin("bob", zmtp.SUB))
			if s := waitForSessions(t, b, 1)[0]; s.User != "robert" {
				t.Errorf("user %q, want robert, as the handler replies", s.User)
			}
			for _, security := range []zmtp.ClientSecurity{plainLogin("alice", zmtp.SUB).Security, zmtp.Null{}} {
				o := plainLogin("", zmtp.SUB)
				o.Security = security
				if got := refusal(t, url, o); got.Code != 4400 {
					t.Errorf("%s: %v, want 4400", security.Name(), got)
				}
			}
			if n := asked.Load() - before; n != 3 {
				t.Errorf("the handler was asked %d times for 3 logins", n)
			}
		})
	}
}

// TestOptionsRegisterer checks that the metrics of a bridge are registered with
// Options.Registerer, that a second bridge cannot use the same one, and that the metrics count
// what happens on the bridge.
func TestOptionsRegisterer(t *testing.T) {
	registry := prometheus.NewRegistry()
	c := madeInGo(silent(t, zmtp.PUB), map[string]config.AuthKind{"guests": &config.Anonymous{}})
	c.Routes[0].ClientMechanisms = []zap.Mechanism{zap.NULL}
	b, err := newBridge(t, c, bridge.Options{Registerer: registry})
	must(t, err)
	_, err = newBridge(t, c, bridge.Options{Registerer: registry})
	if _, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); !ok {
		t.Errorf("a second bridge with the same registerer: %v, want an AlreadyRegisteredError", err)
	}
	server := httptest.NewServer(b)
	defer server.Close()
	o := plainLogin("", zmtp.SUB)
	o.Security = zmtp.Null{}
	connect(t, "ws"+strings.TrimPrefix(server.URL, "http")+"/d", o)
	waitForSessions(t, b, 1)
	families, err := registry.Gather()
	must(t, err)
	values := make(map[string]float64)
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "zwsbridge_") {
			t.Errorf("%s is registered: want only metrics of the bridge", f.GetName())
		}
		for _, m := range f.Metric {
			values[f.GetName()] += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	for _, name := range []string{"zwsbridge_connections", "zwsbridge_logins_total", "zwsbridge_backends"} {
		if values[name] != 1 {
			t.Errorf("%s is %v, want 1", name, values[name])
		}
	}
	must(t, b.Close(t.Context()))
	if families, err = registry.Gather(); err != nil || len(families) > 0 {
		t.Errorf("after Close %d metrics are registered, %v", len(families), err)
	}
}
