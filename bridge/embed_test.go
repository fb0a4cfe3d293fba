package bridge_test

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestConfigurationMadeInGo checks that New and Reload fill in a configuration that was not
// loaded, and report what is wrong with it instead of panicking.
func TestConfigurationMadeInGo(t *testing.T) {
	made := func() *config.Config {
		c := config.Default()
		c.Zap.Chain = []config.ChainEntry{{Authn: "sso"}, {Authn: "app"}}
		c.Auth = map[string]config.Auth{
			"sso": {Settings: &config.JWT{
				Algorithms: []string{"RS256"}, JWKSURL: "https://127.0.0.1:1/keys", Issuer: "https://127.0.0.1:1", ResourceServerID: "id",
			}},
			"app": {Settings: &config.HTTP{UserPath: "http://127.0.0.1:1/user"}},
		}
		c.Routes = []config.Route{{Path: "/d", Socket: zmtp.DEALER, Connect: []config.Endpoint{{Endpoint: "tcp://127.0.0.1:1"}}}}
		return c
	}
	b, err := bridge.New(made(), bridge.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close(t.Context())
	if err := b.Reload(made()); err != nil {
		t.Error(err)
	}
	wrong := made()
	wrong.Auth["app"] = config.Auth{}
	var fault *config.Error
	if err := b.Reload(wrong); !errors.As(err, &fault) {
		t.Errorf("Reload of a faulty configuration: %v", err)
	}
	if _, err := bridge.New(&config.Config{}, bridge.Options{}); !errors.As(err, &fault) {
		t.Errorf("New of the zero configuration: %v", err)
	}
}
