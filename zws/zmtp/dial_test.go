package zmtp

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseEndpoint(t *testing.T) {
	long := "/" + strings.Repeat("x", maxIPCPath-1)
	for endpoint, want := range map[string]string{
		"tcp://127.0.0.1:5555":      "tcp 127.0.0.1:5555",
		"tcp://[::1]:5555":          "tcp [::1]:5555",
		"tcp://[fe80::1%eth0]:5555": "tcp [fe80::1%eth0]:5555",
		"tcp://house.example:5555":  "tcp house.example:5555",
		"tcp://*:5555":              "tcp :5555",
		"tcp://127.0.0.1:*":         "tcp 127.0.0.1:0",
		"tcp://127.0.0.1:65535":     "tcp 127.0.0.1:65535",
		"ipc:///run/house":          "unix /run/house",
		"ipc://relative":            "unix relative",
		"ipc://" + long:             "unix " + long,
		"ipc://" + long + "x":       "",
		"tcp://127.0.0.1:65536":     "",
		"tcp://127.0.0.1:http":      "",
		"tcp://127.0.0.1:-1":        "",
		"tcp://127.0.0.1":           "",
		"tcp://:5555":               "",
		"tcp://::1:5555":            "",
		"ipc://":                    "",
		"ipc://@":                   "",
		"ipc:///a\x00b":             "",
		"udp://127.0.0.1:1":         "",
		"127.0.0.1:5555":            "",
		"TCP://127.0.0.1:5555":      "",
		"":                          "",
	} {
		network, address, err := ParseEndpoint(endpoint)
		if got := network + " " + address; err == nil && got != want || err != nil && want != "" {
			t.Errorf("%q: %q, %v; want %q", endpoint, got, err, want)
		}
	}
}

// TestUnreachable checks that a failed connect is ErrUnreachable.
func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	for name, endpoint := range map[string]string{
		"refused":   "tcp://" + l.Addr().String(),
		"no name":   "tcp://a..b:1",
		"no socket": "ipc://" + filepath.Join(t.TempDir(), "s"),
	} {
		if _, err := Dial(t.Context(), endpoint, Null{}, Options{SocketType: SUB}); !errors.Is(err, ErrUnreachable) {
			t.Errorf("%s: got %v, want ErrUnreachable", name, err)
		}
	}
}

// TestDialArguments checks that invalid arguments are not reported as ErrUnreachable.
func TestDialArguments(t *testing.T) {
	for name, test := range map[string]struct {
		endpoint string
		sec      ClientSecurity
		o        Options
	}{
		"endpoint":    {"http://127.0.0.1:1", Null{}, Options{SocketType: SUB}},
		"any address": {"tcp://*:5555", Null{}, Options{SocketType: SUB}},
		"any port":    {"tcp://127.0.0.1:*", Null{}, Options{SocketType: SUB}},
		"socket type": {"tcp://127.0.0.1:1", Null{}, Options{}},
	} {
		if _, err := Dial(t.Context(), test.endpoint, test.sec, test.o); err == nil || errors.Is(err, ErrUnreachable) {
			t.Errorf("%s: got %v, want an error about the argument", name, err)
		}
	}
}

// TestDialCancelled checks that Dial returns the cause of a context that is already cancelled.
func TestDialCancelled(t *testing.T) {
	cause := errors.New("cancelled by the caller")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := Dial(ctx, "tcp://127.0.0.1:1", Null{}, Options{SocketType: SUB}); !errors.Is(err, cause) || errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v, want the cause", err)
	}
}
