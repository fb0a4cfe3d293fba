package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"

	"github.com/zwsbridge/zwsbridge/zws"
)

// notRunning returns err, or that no bridge runs where nothing has accepted the connection.
func notRunning(err error) error {
	dial, ok := errors.AsType[*net.OpError](err)
	if !ok || dial.Addr == nil || !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return fmt.Errorf("no bridge runs at %s: %w", dial.Addr, dial.Err)
}

// withHint adds to an error of a connection to address what the user can do about it.
func withHint(address string, err error) error {
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, plain := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case authority:
		return fmt.Errorf("%w: give --ca FILE with the certificate that signed it, or for a test --insecure", err)
	case plain:
		return fmt.Errorf("%w: the server does not speak TLS on this port: want ws:// or http://", err)
	case errors.Is(err, zws.ErrUpgrade) && strings.HasPrefix(address, "ws://") && strings.Contains(err.Error(), "HTTP \"400 "):
		return fmt.Errorf("%w: if the port speaks TLS, want wss://", err)
	}
	return err
}
