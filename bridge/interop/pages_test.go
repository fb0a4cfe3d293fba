//go:build interop

package interop

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestPages: the portal of the demo and the admin page in Chromium, as their users see
// them. With ZWSBRIDGE_SCREENSHOTS pictures are put into that folder.
func TestPages(t *testing.T) {
	need(t, "npm", "chromium")
	binary := filepath.Join(t.TempDir(), "zwsbridge")
	run(t, "go", "build", "-o", binary, "../../cmd/zwsbridge")
	home := t.TempDir()
	portal, admin := demo(t, binary, home)
	word := func(name string) string {
		text, err := os.ReadFile(filepath.Join(home, name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(text))
	}
	args := []string{"peers/pages.mjs", browserPath(t), portal, word("ann.password"), word("bob.password"), admin, word("admin.token")}
	if folder := os.Getenv("ZWSBRIDGE_SCREENSHOTS"); folder != "" {
		args = append(args, folder)
	}
	run(t, "node", args...)
}

// demo runs zwsbridge demo and returns the URLs that it prints.
func demo(t *testing.T, binary, home string) (portal, admin string) {
	t.Helper()
	cmd := exec.Command(binary, "demo", "--listen", "127.0.0.1:0", "--dir", home)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("zwsbridge demo: %v", err)
		}
	})
	url := regexp.MustCompile(`https?://127\.0\.0\.1:\d+/`)
	printed := make(chan string, 2)
	go func() {
		defer close(printed)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if u := url.FindString(lines.Text()); u != "" {
				printed <- u
			}
		}
	}()
	for _, to := range []*string{&portal, &admin} {
		select {
		case *to = <-printed:
		case <-time.After(patience):
		}
		if *to == "" {
			t.Fatal("zwsbridge demo does not print its URLs")
		}
	}
	return portal, admin
}

// browserPath is the program of Chromium.
func browserPath(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("CHROMIUM"); path != "" {
		return path
	}
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err)
	}
	return path
}
