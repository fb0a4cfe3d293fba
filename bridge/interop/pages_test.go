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
	d := startDemo(t)
	args := []string{"peers/pages.mjs", browserPath(t), d.portal, d.word("ann.password"), d.word("bob.password"), d.admin, d.word("admin.token")}
	if folder := os.Getenv("ZWSBRIDGE_SCREENSHOTS"); folder != "" {
		args = append(args, folder)
	}
	run(t, "node", args...)
}

// TestPortal: a login, readings and refusals at the portal of the demo, by keyboard.
func TestPortal(t *testing.T) {
	for _, browser := range []string{"chromium", "firefox"} {
		t.Run(browser, func(t *testing.T) {
			executable := executableOf(t, browser)
			d := startDemo(t)
			run(t, "node", "peers/resident.mjs", browser, executable, d.portal, d.word("ann.password"))
		})
	}
}

// demo is zwsbridge demo, the URLs that it prints and the folder that it keeps things in.
type demo struct {
	t             *testing.T
	portal, admin string
	home          string
}

// word is a password or token that the demo has drawn.
func (d *demo) word(file string) string {
	text, err := os.ReadFile(filepath.Join(d.home, file))
	if err != nil {
		d.t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func startDemo(t *testing.T) *demo {
	t.Helper()
	d := &demo{t: t, home: t.TempDir()}
	binary := filepath.Join(t.TempDir(), "zwsbridge")
	run(t, "go", "build", "-o", binary, "../../cmd/zwsbridge")
	cmd := exec.Command(binary, "demo", "--listen", "127.0.0.1:0", "--dir", d.home)
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
	for _, to := range []*string{&d.portal, &d.admin} {
		select {
		case *to = <-printed:
		case <-time.After(patience):
		}
		if *to == "" {
			t.Fatal("zwsbridge demo does not print its URLs")
		}
	}
	return d
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
