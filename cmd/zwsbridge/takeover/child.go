package takeover

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// sayTime is how long one line may take.
const sayTime = time.Second

// Timeout is how long a new process may take until it serves.
const Timeout = time.Minute

// variable is the environment variable of a process that was started by Start: the process id of the
// old one and a JSON list of the names of the listeners, whose descriptors begin with firstListener.
const variable = "ZWSBRIDGE_TAKEOVER"

const (
	pairDescriptor = 3
	firstListener  = 4
)

// Child is the new process, as the old one sees it. Its methods are called by one goroutine.
type Child struct {
	// Events has what the new process says, and is closed when it has ended, with the reason in Err.
	Events <-chan Event

	process *os.Process
	pair    net.Conn
	kill    sync.Once
	mu      sync.Mutex
	err     error
}

// Event is what a new process says.
type Event int

// The events.
const (
	Release Event = iota // needs the files
	Ready                // serves
)

// PID returns the process id.
func (c *Child) PID() int { return c.process.Pid }

// Err returns why the process has ended; nil if it was ready before and has succeeded or handed over.
func (c *Child) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// say writes a line. It does not wait for a process that does not read: that is stopped.
func (c *Child) say(word, argument string) error {
	_ = c.pair.SetWriteDeadline(time.Now().Add(sayTime)) // an error comes again
	return say(c.pair, word, argument)
}

// Released reports that the files are closed, and nothing was written to them since stopped.
func (c *Child) Released(stopped time.Time) error {
	return c.say(wordReleased, strconv.FormatInt(stopped.UnixNano(), 10))
}

// Main reports that the new process is the service's main process now.
func (c *Child) Main() error { return c.say(wordMain, "") }

// Left reports how many connections the old process has left. An error means that the new one has ended.
func (c *Child) Left(n int) error { return c.say(wordLeft, strconv.Itoa(n)) }

// Reload has the new process, which serves, reload the configuration.
func (c *Child) Reload() error { return c.process.Signal(syscall.SIGHUP) }

// Kill ends the new process, and waits for its end.
func (c *Child) Kill() {
	c.kill.Do(func() { _ = c.process.Kill() })
	for range c.Events {
	}
}

// follow passes on what the new process says until it ends.
func (c *Child) follow(events chan<- Event) {
	defer close(events)
	c.setErr(errors.New("it has ended without a reason"))
	passed := false
	listen(c.pair, func(word, argument string) {
		switch word {
		case wordRelease:
			events <- Release
		case wordReady:
			c.setErr(nil)
			events <- Ready
		case wordFailed:
			passed = false // nobody serves
			c.setErr(errors.New(argument))
		case wordPassed:
			passed = true
		}
	})
	_ = c.pair.Close()
	state, err := c.process.Wait()
	switch cause := c.Err(); {
	case err != nil || state.Success() || passed:
	case cause == nil:
		c.setErr(errors.New(state.String()))
	default:
		c.setErr(fmt.Errorf("%s: %w", state, cause))
	}
}

func (c *Child) setErr(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}
