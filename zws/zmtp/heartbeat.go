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

	heartbeatMinor = 1 // the minor version of ZMTP 3 that introduced PING
)

// heartbeat sends the PINGs of this side. It is a timer and not a goroutine, because there are
// many idle connections.
type heartbeat struct {
	mu      sync.Mutex // held while a PING is being sent
	timer   *time.Timer
	stopped bool
}

// patience returns how long a peer may be silent that is sent a PING every interval.
func patience(interval time.Duration) time.Duration { return 2 * interval }

// startHeartbeat starts to send PINGs, and to expect answers, if Options.Heartbeat is set and
// the peer speaks ZMTP 3.1. Some ZMTP 3.0 peers deliver a PING to the application as a
// message.
func (c *Conn) startHeartbeat() {
	if c.o.Heartbeat <= 0 || c.minor < heartbeatMinor {
		return
	}
	c.in.patience = patience(c.o.Heartbeat)
	c.beat.mu.Lock()
	defer c.beat.mu.Unlock()
	c.beat.timer = time.AfterFunc(c.o.Heartbeat, c.ping)
}

// ping sends one PING and schedules the next.
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

// stopHeartbeat stops the timer and waits for a PING that is being sent. The transport is
// already closed, so this does not take long.
func (c *Conn) stopHeartbeat() {
	c.beat.mu.Lock()
	defer c.beat.mu.Unlock()
	c.beat.stopped = true
	if c.beat.timer != nil {
		c.beat.timer.Stop()
	}
}

// answerPing sends the PONG and applies the time-to-live of the PING to the peer. Nothing is read
// meanwhile, so a peer that takes no PONG within the patience of Options.Heartbeat is silent too,
// however many PINGs it sends.
func (c *Conn) answerPing(data []byte) error {
	if len(data) < ttlSize || len(data) > ttlSize+maxPingContext {
		return fmt.Errorf("%w: PING with %d bytes of data, want %d to %d", ErrProtocol, len(data), ttlSize, ttlSize+maxPingContext)
	}
	if ttl := time.Duration(binary.BigEndian.Uint16(data)) * ttlUnit; ttl > 0 {
		c.in.patience = ttl
		if c.o.Heartbeat > 0 {
			c.in.patience = min(ttl, patience(c.o.Heartbeat))
		}
	}
	if limit := patience(c.o.Heartbeat); limit > 0 {
		timer := time.AfterFunc(limit, func() { c.shut(fmt.Errorf("%w: no PONG taken for %v", ErrSilent, limit)) })
		defer timer.Stop()
	}
	return c.writeFrames(Frame{Command: true, Body: Command{cmdPong, data[ttlSize:]}.Append(nil)})
}
