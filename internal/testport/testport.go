// Package testport gives tests of programs that listen at a configured address a port for it.
//
// A port that is found by listening at port 0 and closing the listener can be given to anybody until the
// program listens there: to another test, or to an outgoing connection. [Reserve] keeps it.
package testport

import "testing"

// Reserve returns an address of 127.0.0.1 where nobody listens. Until the test ends the system gives
// its port to nobody who does not name it, so that a program can listen there, again and again, if it
// sets SO_REUSEADDR as package net does. Other systems than Linux only have no listener there at the
// moment.
func Reserve(t testing.TB) (address string) {
	t.Helper()
	address, err := reserve(t)
	if err != nil {
		t.Fatal(err)
	}
	return address
}
