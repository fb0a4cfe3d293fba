package zmtp

import (
	"encoding/binary"
	"fmt"
	"sync"
	"time"
)

// Heartbeats (37/ZMTP, "Connection Heartbeating"):
//
//	ping         = command-size %d4 "PING" ping-ttl ping-context
//	pong         = command-size %d4 "PONG" ping-context
//	ping-ttl     = 2OCTET       ; tenths of a second, network order
//	ping-context = 0*16OCTET
const (
	ttlSize        = 2
	ttlUnit        = time.Second / 10
	maxTTL         = 1<<16 - 1
	maxPingContext = 16

	heartbeatMinor = 1 // PING exists from ZMTP 3.1 on
)

// heartbeat sends our PINGs. A timer and no goroutine: idle connections are many.
type heartbeat struct {
	mu      sync.Mutex // held while a PING is being sent
	timer   *time.Timer
	stopped bool
}

// patience is how long the peer may be silent if we ping it every interval.
func patience(interval time.Duration) time.Duration { return 2 * interval }

// startHeartbeat begins to send PINGs, if we were asked to, and to expect an answer. A
// ZMTP 3.0 peer knows no PING: some hand it to the application as a message.
func (c *Conn) startHeartbeat() {
	if c.o.Heartbeat <= 0 || c.minor < heartbeatMinor {
		return
	}
	c.in.patience = patience(c.o.Heartbeat)
	c.beat.mu.Lock()
	defer c.beat.mu.Unlock()
	c.beat.timer = time.AfterFunc(c.o.Heartbeat, c.ping)
}

// ping sends one PING and sets the timer for the next.
func (c *Conn) ping() {
	c.beat.mu.Lock()
	defer c.beat.mu.Unlock()
	if c.beat.stopped {
		return
	}
	ttl := (patience(c.o.Heartbeat) + ttlUnit - 1) / ttlUnit
	data := binary.BigEndian.AppendUint16(nil, uint16(min(ttl, maxTTL)))
	if c.writeFrames(Frame{Command: true, Body: Command{cmdPing, data}.Append(nil)}) == nil {
		c.beat.timer.Reset(c.o.Heartbeat)
	}
}

// stopHeartbeat waits for a PING that is being sent. The transport is closed already, so
// that it cannot take long.
func (c *Conn) stopHeartbeat() {
	c.beat.mu.Lock()
	defer c.beat.mu.Unlock()
	c.beat.stopped = true
	if c.beat.timer != nil {
		c.beat.timer.Stop()
	}
}

// answerPing sends the PONG and holds the peer to the time-to-live that it gave.
func (c *Conn) answerPing(data []byte) error {
	if len(data) < ttlSize || len(data) > ttlSize+maxPingContext {
		return fmt.Errorf("%w: PING with %d octets of data: want %d to %d", ErrProtocol, len(data), ttlSize, ttlSize+maxPingContext)
	}
	if ttl := time.Duration(binary.BigEndian.Uint16(data)) * ttlUnit; ttl > 0 {
		c.in.patience = ttl
		if c.o.Heartbeat > 0 {
			c.in.patience = min(ttl, patience(c.o.Heartbeat))
		}
	}
	return c.writeFrames(Frame{Command: true, Body: Command{cmdPong, data[ttlSize:]}.Append(nil)})
}
