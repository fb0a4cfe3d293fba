package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge"
)

const (
	// socketMode is the mode of admin.socket: the user and the group of the bridge can connect.
	socketMode = 0o660
	// socketWriteTimeout limits how long a program at admin.socket takes to read an answer.
	socketWriteTimeout = 30 * time.Second
	// socketProbe limits how long abandoned waits for a program that listens and does not accept.
	socketProbe = time.Second
)

// listenSocket opens admin.socket, unless it was passed, and replaces the socket that a bridge left behind that was
// killed. The caller closes the listener, which removes the socket.
func listenSocket(path string, passed sockets) (net.Listener, error) {
	if l := passed.take(inherited(unixSocket, path)); l != nil {
		keepFile(l, false)
		return l, nil
	}
	config := net.ListenConfig{Control: limitMode}
	l, err := config.Listen(context.Background(), "unix", path)
	if errors.Is(err, syscall.EADDRINUSE) && abandoned(path) {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
		l, err = config.Listen(context.Background(), "unix", path)
	}
	if err != nil {
		return nil, fmt.Errorf("admin.socket: %w", err)
	}
	if err := os.Chmod(path, socketMode); err != nil {
		return nil, errors.Join(fmt.Errorf("admin.socket: %w", err), l.Close())
	}
	return l, nil
}

// keepFile sets whether the file of a unix socket stays when its listener is closed.
func keepFile(l net.Listener, keep bool) {
	if u, ok := l.(interface{ SetUnlinkOnClose(bool) }); ok {
		u.SetUnlinkOnClose(!keep)
	}
}

// abandoned reports whether path is a socket that nothing listens at.
func abandoned(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != os.ModeSocket {
		return false
	}
	c, err := net.DialTimeout("unix", path, socketProbe)
	if err == nil {
		c.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// reloadRequest asks run for a reload.
type reloadRequest struct{ done chan<- reloadResult }

type reloadResult struct {
	reloaded bridge.Reloaded
	err      error
}

func (r reloadRequest) answer(reloaded bridge.Reloaded, err error) {
	r.done <- reloadResult{reloaded, err}
}

// requestReload reloads the configuration file for an operator. It may be called concurrently.
func (s *server) requestReload(ctx context.Context) (bridge.Reloaded, error) {
	done := make(chan reloadResult, 1)
	select {
	case s.reloads <- reloadRequest{done}:
	case <-ctx.Done():
		return bridge.Reloaded{}, ctx.Err()
	}
	result := <-done
	return result.reloaded, result.err
}
