//go:build interop

package interop

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDemoPages checks the portal of the demo and the admin page in Chromium as their users see
// them. ZWSBRIDGE_SCREENSHOTS can name a directory for screenshots.
func TestDemoPages(t *testing.T) {
	need(t, "npm", "chromium")
	d := startDemo(t)
	// A queue of ann that waits for its next client.
	run(t, d.binary, "sub", strings.Replace(d.portal, "https", "wss", 1)+"devices", "--insecure", "-u", "ann",
		"--password-file", filepath.Join(d.home, "ann.password"), "-s", "house/ann/", "--queue", "phone", "-n", "1")
	args := []string{"peers/pages.mjs", executableOf(t, "chromium"), d.portal, d.secret("ann.password"), d.secret("bob.password"), d.admin, d.secret("admin.token")}
	if dir := os.Getenv("ZWSBRIDGE_SCREENSHOTS"); dir != "" {
		args = append(args, dir)
	}
	run(t, "node", args...)
}

// TestReadmePages uses the sample pages of the READMEs in Chromium, with a wrong password and with
// the right one.
func TestReadmePages(t *testing.T) {
	chromium := executableOf(t, "chromium")
	publisher := start(t, "libzmq.mjs").bind(t, "PUB", nil)
	for _, name := range []string{"../../README.md", "../../zws/js/README.md"} {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			_, rest, _ := strings.Cut(string(text), "```html\n")
			page, _, _ := strings.Cut(rest, "```\n")
			h := newHome(t)
			h.mkdir("www")
			h.write("www/index.html", strings.NewReplacer("'ann'", "'alice'", "/ann/", "/alice/").Replace(page))
			url := h.bridge(strings.Replace(allMechanisms, "[server]", "[server]\nstatic = \"www\"", 1) +
				routeAt("/devices", "SUB", publisher.endpoint, `allow = [ { user = "*", subscribe = ["house/{user}/"] } ]`))
			done := make(chan struct{})
			go func() { // a PUB does not report subscriptions
				for {
					select {
					case <-done:
						return
					case <-time.After(50 * time.Millisecond):
						publisher.send("house/alice/kitchen/temperature", "21.5")
					}
				}
			}()
			defer close(done)
			run(t, "node", "peers/readme.mjs", chromium, "http"+strings.TrimPrefix(url, "ws"), secrets["alice"])
		})
	}
}

// TestDemoPortal uses the portal of the demo by keyboard: a login, readings and refusals.
func TestDemoPortal(t *testing.T) {
	for _, browser := range []string{"chromium", "firefox"} {
		t.Run(browser, func(t *testing.T) {
			executable := executableOf(t, browser)
			d := startDemo(t)
			run(t, "node", "peers/demo.mjs", browser, executable, d.portal, d.secret("ann.password"))
		})
	}
}

// TestDemoPortalStates looks at the portal of the demo while its sockets connect, and when the bridge
// is gone.
func TestDemoPortalStates(t *testing.T) {
	executable := executableOf(t, "chromium")
	d := startDemo(t)
	run(t, "node", "peers/demostates.mjs", "chromium", executable, d.portal, d.secret("ann.password"), strconv.Itoa(d.process.Pid))
	d.ending = true
}

// demo is a running zwsbridge demo, with the URLs that it prints and its directory.
type demo struct {
	t             *testing.T
	portal, admin string
	home, binary  string
	process       *os.Process
	ending        bool // it was sent SIGTERM; another one would end it at once
}

// secret returns a password or token that the demo has made.
func (d *demo) secret(file string) string {
	text, err := os.ReadFile(filepath.Join(d.home, file))
	if err != nil {
		d.t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func startDemo(t *testing.T) *demo {
	t.Helper()
	d := &demo{t: t, home: t.TempDir()}
	d.binary = filepath.Join(t.TempDir(), "zwsbridge")
	run(t, "go", "build", "-o", d.binary, "../../cmd/zwsbridge")
	cmd := exec.Command(d.binary, "demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--dir", d.home)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	d.process = cmd.Process
	t.Cleanup(func() {
		if !d.ending {
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Error(err)
			}
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
