package bridge_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// passwordLogin is how the routes below log in at their backends, with the file "password".
const passwordLogin = "mechanism = \"PLAIN\"\nusername = \"lamp\"\npassword_file = \"password\""

func writePassword(t *testing.T, dir, password string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "password"), []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestRefusedLater lets a backend refuse the bridge when it is back from a restart. Logins are told
// so, and sessions that were at work stay; they are served when the backend accepts the bridge
// again, unless it has refused their own password.
func TestRefusedLater(t *testing.T) {
	echo := func(c *zmtp.Conn) {
		for {
			m, err := c.ReadMessage()
			if err != nil || c.Write(m) != nil {
				return
			}
		}
	}
	for _, tt := range []struct {
		name         string
		ours, theirs zmtp.SocketType
		lines        string
		own          bool // the password is the client's
	}{
		{"SUB", zmtp.SUB, zmtp.PUB, passwordLogin, false},
		{"SUB, not shared", zmtp.SUB, zmtp.PUB, passwordLogin + "\nshare = \"none\"", false},
		{"DEALER", zmtp.DEALER, zmtp.ROUTER, passwordLogin, false},
		{"DEALER, shared", zmtp.DEALER, zmtp.ROUTER, passwordLogin + "\nshare = \"requests\"", false},
		{"DEALER, own password", zmtp.DEALER, zmtp.ROUTER, "credentials = \"client\"", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			serve := func(generation string) func(*zmtp.Conn) {
				if tt.ours != zmtp.SUB {
					return echo
				}
				return func(c *zmtp.Conn) {
					for c.Write(message("a", generation)) == nil {
						time.Sleep(10 * time.Millisecond)
					}
				}
			}
			talk := func(c *zws.Client, generation string) {
				t.Helper()
				if tt.ours != zmtp.SUB {
					if err := c.Send(t.Context(), message("a", generation)); err != nil {
						t.Fatal(err)
					}
				}
				for {
					m, err := c.Recv(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if string(m[1]) == generation {
						return
					}
				}
			}
			endpoint, stop := listenAt(t, unusedEndpoint(t), tt.theirs, zap.PLAIN, always(zap.OK), serve("first"))
			url, b := startIn(t, func(dir string) string {
				writePassword(t, dir, "secret")
				return usersOnly + routeTo("/d", tt.ours, endpoint, tt.lines)
			})
			c := connect(t, url+"/d", plainLogin("alice", tt.ours))
			if tt.ours == zmtp.SUB {
				if err := c.Subscribe(t.Context(), []byte("a")); err != nil {
					t.Fatal(err)
				}
			}
			talk(c, "first")
			stop()
			_, stop = listenAt(t, endpoint, tt.theirs, zap.PLAIN, always(zap.Refused), serve("refused"))
			eventually(t, "the backend has refused", func() bool {
				return slices.ContainsFunc(b.Backends(), func(s bridge.Backend) bool { return s.State == "refused" })
			})
			if got := refusal(t, url+"/d", plainLogin("bob", tt.ours)); got.Code != 4502 || got.Status != 400 {
				t.Errorf("a login meanwhile: %v, want 4502", got)
			}
			stop()
			_, stop = listenAt(t, endpoint, tt.theirs, zap.PLAIN, always(zap.OK), serve("second"))
			defer stop()
			if !tt.own {
				talk(c, "second")
			}
			connect(t, url+"/d", plainLogin("bob", tt.ours))
			if n := len(b.Sessions()); n != 2 {
				t.Errorf("%d sessions, want both", n)
			}
		})
	}
}

// TestNewPassword checks that a password file is read again for the next attempt, which the next
// client brings about.
func TestNewPassword(t *testing.T) {
	endpoint := silentWith(t, zmtp.PUB, zap.PLAIN, checkLogin)
	var dir string
	url, _ := startIn(t, func(d string) string {
		dir = d
		writePassword(t, dir, "wrong")
		return usersOnly + routeTo("/d", "SUB", endpoint, passwordLogin)
	})
	for range 2 {
		if got := refusal(t, url+"/d", plainLogin("alice", zmtp.SUB)); got.Code != 4502 {
			t.Errorf("with the wrong password: %v, want 4502", got)
		}
	}
	writePassword(t, dir, "switch")
	connect(t, url+"/d", plainLogin("alice", zmtp.SUB))
}
