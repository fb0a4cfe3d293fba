// Package acmetest runs package certs against Let's Encrypt's own test authority. It is a
// module of its own so that the authority is no dependency of the bridge.
package acmetest
