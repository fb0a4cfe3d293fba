//go:build !linux

package testport

import (
	"net"
	"testing"
)

// reserve returns the address of a listener that is closed.
func reserve(testing.TB) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
