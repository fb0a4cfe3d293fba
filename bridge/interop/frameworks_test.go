//go:build interop

package interop

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestFrameworks builds the examples with React, Vue and Svelte as their READMEs describe, and uses them
// in Chromium. ZWSBRIDGE_SCREENSHOTS can name a directory for screenshots.
func TestFrameworks(t *testing.T) {
	chromium := executableOf(t, "chromium")
	for _, framework := range []string{"react", "vue", "svelte"} {
		t.Run(framework, func(t *testing.T) {
			example, err := filepath.Abs("../../examples/" + framework)
			if err != nil {
				t.Fatal(err)
			}
			for _, step := range [][]string{{"ci", "--prefer-offline"}, {"run", "build"}} {
				npm := exec.Command("npm", step...)
				npm.Dir = example
				if out, err := npm.CombinedOutput(); err != nil {
					t.Fatalf("npm %s: %v\n%s", step[0], err, out)
				}
			}
			libzmq := start(t, "libzmq.mjs")
			publisher, house := libzmq.bind(t, "XPUB", nil), libzmq.bind(t, "ROUTER", nil)
			h := newHome(t)
			text, err := os.ReadFile(filepath.Join(example, "bridge.toml"))
			if err != nil {
				t.Fatal(err)
			}
			url := h.bridge(strings.NewReplacer(
				`"dist"`, `"`+filepath.Join(example, "dist")+`"`,
				"tcp://127.0.0.1:5556", publisher.endpoint,
				"tcp://127.0.0.1:5557", house.endpoint,
			).Replace(string(text)))

			ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
			defer cancel()
			user := exec.CommandContext(ctx, "node", "peers/frameworks.mjs", chromium, "http"+strings.TrimPrefix(url, "ws"), "alice", secrets["alice"], framework)
			user.Stdout, user.Stderr = t.Output(), t.Output()
			done := make(chan error, 1)
			go func() { done <- user.Run() }()
			// The user logs in, hides the readings, switches the light, and logs out.
			publisher.expect("\x01house/alice/")
			publisher.send("house/bob/kitchen", "17")
			publisher.send("house/alice/kitchen", "21.5")
			publisher.expect("\x00house/alice/")
			request := house.wait("message").Frames
			equal(t, request[2:], "", "light", "on")
			house.send(request[0], request[1], "", "the light is on")
			if err := <-done; err != nil {
				t.Errorf("peers/frameworks.mjs: %v", err)
			}
		})
	}
}
