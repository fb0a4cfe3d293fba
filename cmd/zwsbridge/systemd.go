package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	sd "github.com/coreos/go-systemd/v22/daemon"
)

// sockets are the listeners that systemd has opened (socket activation), by the name that
// FileDescriptorName gives them, and those of a process that hands over, by that of inherited. Those that have
// been used are removed. The zero value has none.
type sockets map[string]net.Listener

// The names of sockets.
const (
	serverSocket = "server"
	adminSocket  = "admin"
	unixSocket   = "admin.socket" // never from systemd
)

// passedSockets returns the listeners that systemd has passed to this process; none on other
// systems. The caller closes them.
func passedSockets() (_ sockets, err error) {
	s := make(sockets)
	files := activation.Files(true)
	defer func() {
		for _, f := range files {
			_ = f.Close() // the listeners have descriptors of their own
		}
		if err != nil {
			s.close()
		}
	}()
	for _, f := range files {
		name := f.Name()
		if !slices.Contains([]string{serverSocket, adminSocket}, name) {
			return nil, usagef("systemd passed a socket with the unknown name %q: FileDescriptorName= of a socket unit is %q or %q",
				name, serverSocket, adminSocket)
		}
		if s[name] != nil {
			return nil, usagef("systemd passed more than one socket named %q: give each a socket unit with another FileDescriptorName=, or listen on [::] for IPv4 and IPv6", name)
		}
		l, err := net.FileListener(f)
		if err != nil {
			return nil, usagef("systemd passed a socket named %q that does not listen: %v", name, err)
		}
		s[name] = l
		if _, ok := l.(*net.TCPListener); !ok {
			return nil, usagef("systemd passed a socket named %q of %s %s: ListenStream= has to be a TCP address", name, l.Addr().Network(), l.Addr())
		}
	}
	return s, nil
}

// listen returns the socket of that name, and listens on address only if there is none.
func (s sockets) listen(name, address string, log *slog.Logger) (net.Listener, error) {
	if l := s.take(inherited(name, address)); l != nil {
		return l, nil
	}
	l := s.take(name)
	if l == nil {
		return net.Listen("tcp", address)
	}
	if !sameAddress(l.Addr(), address) {
		log.Warn("the socket unit of systemd has another address than the configuration: its address is used",
			"name", name, "address", l.Addr().String(), "configured", address)
	}
	return l, nil
}

// take returns the socket of that name, and removes it; nil if there is none.
func (s sockets) take(name string) net.Listener {
	l := s[name]
	delete(s, name)
	return l
}

// sameAddress reports whether a listener at addr is what listening on address would give.
func sameAddress(addr net.Addr, address string) bool {
	got, ok := addr.(*net.TCPAddr)
	want, err := net.ResolveTCPAddr("tcp", address)
	if !ok || err != nil {
		return false
	}
	if len(want.IP) == 0 {
		want.IP = net.IPv6unspecified
	}
	anywhere := got.IP.IsUnspecified() && want.IP.IsUnspecified()
	return (anywhere || got.IP.Equal(want.IP)) && (want.Port == 0 || got.Port == want.Port)
}

// unused returns an error if a socket is left, whose clients nobody would answer.
func (s sockets) unused() error {
	for name, l := range s {
		return usagef("systemd passed the socket %q (%s), which the configuration does not use: set %s.listen, or disable its socket unit",
			name, l.Addr(), name)
	}
	return nil
}

func (s sockets) close() {
	for _, l := range s {
		_ = l.Close()
	}
}

// notifier tells systemd about the state of the service (Type=notify). Without NOTIFY_SOCKET it does
// nothing; nil does nothing either.
type notifier struct {
	log      *slog.Logger
	interval time.Duration // WatchdogSec; 0 = none
}

// newNotifier returns the notifier of this process. It fails if WATCHDOG_USEC is malformed.
func newNotifier(log *slog.Logger) (*notifier, error) {
	interval, err := sd.SdWatchdogEnabled(false)
	if err != nil {
		return nil, usagef("watchdog of systemd: %v", err)
	}
	return &notifier{log, interval}, nil
}

// send sends assignments, as sd_notify(3) describes them.
func (n *notifier) send(assignments ...string) {
	if n == nil {
		return
	}
	if _, err := sd.SdNotify(false, strings.Join(assignments, "\n")); err != nil {
		n.log.Warn("systemd cannot be notified", "error", err)
	}
}

func (n *notifier) ready(status string) { n.send(sd.SdNotifyReady, statusLine(status)) }
func (n *notifier) stopping()           { n.send(sd.SdNotifyStopping, statusLine("shutting down")) }

// handedOver tells systemd which process is the main one from now on.
func (n *notifier) handedOver(pid int) { n.send(fmt.Sprintf("MAINPID=%d", pid)) }

// reloading begins a reload, which ready ends.
func (n *notifier) reloading() {
	n.send(sd.SdNotifyReloading, strings.TrimSuffix(sd.SdNotifyMonotonicUsec(), "\n"))
}

// statusLine returns what `systemctl status` shows. It has to be one line.
func statusLine(text string) string {
	text, more, found := strings.Cut(text, "\n")
	if found && more != "" {
		text += " …"
	}
	return "STATUS=" + text
}

// watchdog notifies systemd twice in each WatchdogSec until ctx is done, as long as probe returns.
// Without WatchdogSec it returns at once.
func (n *notifier) watchdog(ctx context.Context, probe func()) {
	if n == nil || n.interval == 0 {
		return
	}
	ticker := time.NewTicker(n.interval / 2)
	defer ticker.Stop()
	for {
		probe()
		n.send(sd.SdNotifyWatchdog)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
