//go:build interop

package interop

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestReactHook builds examples/react-hook as its README describes and uses it in Chromium.
func TestReactHook(t *testing.T) {
	chromium := executableOf(t, "chromium")
	example, err := filepath.Abs("../../examples/react-hook")
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range [][]string{{"ci", "--no-audit", "--no-fund"}, {"run", "build"}} {
		npm := exec.Command("npm", step...)
		npm.Dir = example
		if out, err := npm.CombinedOutput(); err != nil {
			t.Fatalf("npm %s: %v\n%s", step[0], err, out)
		}
	}
	publisher := start(t, "libzmq.mjs").bind(t, "PUB", nil)
	h := newHome(t)
	text, err := os.ReadFile(filepath.Join(example, "bridge.toml"))
	if err != nil {
		t.Fatal(err)
	}
	config := strings.NewReplacer(
		`"page"`, `"`+filepath.Join(example, "page")+`"`,
		"tcp://127.0.0.1:5556", publisher.endpoint,
	).Replace(string(text))
	url := h.bridge(config)

	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	user := exec.CommandContext(ctx, "node", "peers/react.mjs", chromium, "http"+strings.TrimPrefix(url, "ws"), "alice", secrets["alice"])
	user.Stderr = t.Output()
	done := make(chan error, 1)
	go func() { done <- user.Run() }()
	// A PUB does not report subscriptions, so it publishes all the time.
	for tick := time.NewTicker(50 * time.Millisecond); ; {
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("peers/react.mjs: %v", err)
			}
			return
		case <-tick.C:
			publisher.send("house/alice/kitchen", "21.5")
		}
	}
}
