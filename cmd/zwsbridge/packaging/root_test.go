//go:build linux

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// suite is the Debian that the packages are installed in.
const suite = "bookworm"

// scratch is a directory for the tests of this package together.
var scratch string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "packaging")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	scratch = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// needs skips the test where it cannot run, which CI does not accept.
func needs(t *testing.T, tools ...string) {
	t.Helper()
	skip := t.Skipf
	if os.Getenv("CI") == "true" {
		skip = t.Fatalf
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("needs Linux on amd64")
	}
	if os.Geteuid() != 0 {
		skip("needs root, for chroot")
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			skip("%s is not installed: run it with ./run", tool)
		}
	}
}

// root is a directory with a system that programs are run in by chroot.
type root struct {
	t   *testing.T
	dir string
	env []string // of programs that run in it
}

// maxAge is how long a minimal Debian is kept for the next run.
const maxAge = 7 * 24 * time.Hour

// debian returns a new minimal Debian. It keeps an archive of it in the user's cache.
func debian(t *testing.T) root {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = scratch
	}
	archive := filepath.Join(cache, "zwsbridge", "mmdebstrap-apt-"+suite+".tar")
	if info, err := os.Stat(archive); err != nil || time.Since(info.ModTime()) > maxAge {
		if err := os.MkdirAll(filepath.Dir(archive), 0o755); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		// A name of its own until it is complete; the suffix tells mmdebstrap the format.
		part := strings.TrimSuffix(archive, ".tar") + fmt.Sprint(os.Getpid()) + ".tar"
		defer os.Remove(part)
		// procps is what the package depends on.
		command(t, nil, "mmdebstrap", "--variant=apt", "--include=procps", "--aptopt=Acquire::Languages \"none\"",
			"--dpkgopt=force-unsafe-io", suite, part)
		if err := os.Rename(part, archive); err != nil {
			t.Fatal(err)
		}
		t.Logf("mmdebstrap took %v", time.Since(start).Round(time.Second))
	}
	r := root{t: t, dir: t.TempDir()}
	command(t, nil, "tar", "-C", r.dir, "--exclude=./dev/*", "-xpf", archive)
	if err := os.Chmod(r.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r.write("/dev/null", "", 0o666) // scripts redirect to it; a device needs a mount without nodev
	return r
}

func (r root) path(name string) string { return filepath.Join(r.dir, name) }

func (r root) write(name, text string, mode os.FileMode) {
	r.t.Helper()
	if err := os.MkdirAll(filepath.Dir(r.path(name)), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(r.path(name), []byte(text), mode); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Chmod(r.path(name), mode); err != nil {
		r.t.Fatal(err)
	}
}

func (r root) read(name string) string {
	r.t.Helper()
	text, err := os.ReadFile(r.path(name))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

func (r root) exists(name string) bool {
	_, err := os.Lstat(r.path(name))
	return err == nil
}

// stat returns mode and owner of a file, as "-rw-r----- 0:998".
func (r root) stat(name string) string {
	info, err := os.Lstat(r.path(name))
	if err != nil {
		return "missing"
	}
	sys := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%v %d:%d", info.Mode(), sys.Uid, sys.Gid)
}

// user is whom a program runs as.
type user struct{ uid, gid uint32 }

// lookup returns a user of the system's own /etc/passwd.
func (r root) lookup(name string) user {
	r.t.Helper()
	for line := range strings.Lines(r.read("/etc/passwd")) {
		if f := strings.Split(line, ":"); f[0] == name {
			var u user
			if _, err := fmt.Sscan(f[2]+" "+f[3], &u.uid, &u.gid); err != nil {
				r.t.Fatal(err)
			}
			return u
		}
	}
	r.t.Fatalf("/etc/passwd has no user %q", name)
	return user{}
}

// command returns a command that runs in the system.
func (r root) command(ctx context.Context, as user, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Path, cmd.Err = args[0], nil // in the system, not here
	cmd.Dir = dir
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive"}
	cmd.Env = append(cmd.Env, r.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: r.dir, Credential: &syscall.Credential{Uid: as.uid, Gid: as.gid}}
	return cmd
}

// run runs a program in the system as root and returns its output.
func (r root) run(args ...string) string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*time.Minute)
	defer cancel()
	out, err := r.command(ctx, user{}, "/", args...).CombinedOutput()
	if err != nil {
		r.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// A service is a bridge that runs in the system.
type service struct {
	cmd   *exec.Cmd
	lines chan string
	log   strings.Builder
	// The addresses that it listens on.
	address, admin string
}

// serve starts a bridge and waits until it serves clients and operators.
func (r root) serve(as user, dir string, args ...string) *service {
	r.t.Helper()
	s := &service{cmd: r.command(context.Background(), as, dir, args...), lines: make(chan string)}
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	s.cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	runtime.LockOSThread() // the signal is sent when the thread ends
	if err := s.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() {
		defer close(s.lines)
		for scanner := bufio.NewScanner(stderr); scanner.Scan(); {
			s.lines <- scanner.Text()
		}
	}()
	r.t.Cleanup(func() {
		_ = s.cmd.Process.Kill() // it may have ended
		for range s.lines {
		}
	})
	for line := range s.lines {
		s.log.WriteString(line + "\n")
		var entry struct{ Msg, Address string }
		if json.Unmarshal([]byte(line), &entry) != nil {
			continue
		}
		switch entry.Msg {
		case "serving":
			s.address = entry.Address
		case "serving the admin interface":
			s.admin = entry.Address
			return s
		}
	}
	r.t.Fatalf("%s ended early; its log:\n%s", strings.Join(args, " "), s.log.String())
	return nil
}

// check asks the service for its health and its page.
func (s *service) check(t *testing.T) {
	t.Helper()
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	for url, want := range map[string]int{
		"http://" + s.admin + "/livez": 200, "http://" + s.admin + "/readyz": 200, "https://" + s.address + "/": 404,
	} {
		resp, err := client.Get(url)
		if err != nil {
			t.Error(err)
			continue
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %s %s, want %d", url, resp.Status, body, want)
		}
	}
}

// stop ends the service as systemd and container engines do.
func (s *service) stop(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(30*time.Second, func() { _ = s.cmd.Process.Kill() })
	defer kill.Stop()
	for line := range s.lines {
		s.log.WriteString(line + "\n")
	}
	if err := s.cmd.Wait(); err != nil {
		var exit *exec.ExitError
		errors.As(err, &exit)
		t.Errorf("after SIGTERM: %v, want exit code 0; its log:\n%s", err, s.log.String())
	}
}
