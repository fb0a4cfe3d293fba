// Package acmetest tests ACME of package certs with Pebble, the test server of Let's Encrypt.
// It is a module of its own, so that Pebble does not become a dependency of the bridge.
package acmetest
