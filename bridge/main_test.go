package bridge_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails if a goroutine is left when the tests are done. It ignores those that the PUB
// of go-zeromq/zmq4 does not end in Close.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/go-zeromq/zmq4.(*pubMWriter).run"),
		goleak.IgnoreAnyFunction("github.com/go-zeromq/zmq4.(*pubSocket).run"),
	)
}
