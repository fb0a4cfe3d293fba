package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/go-zeromq/zmq4"
	"golang.org/x/sync/errgroup"
)

// Rooms are the rooms of every house.
var Rooms = []string{"kitchen", "bedroom"}

const (
	publishInterval = time.Second
	minTarget       = 5.0 // °C
	maxTarget       = 30.0
)

// House simulates a house with two ZeroMQ sockets. The PUB publishes the topics
// house/NAME/ROOM/temperature, …/target and …/light of each room once per second. The REP
// takes the commands "target ROOM DEGREES" and "light ROOM on|off", one word per frame.
type House struct {
	name     string
	readings zmq4.Socket
	commands zmq4.Socket

	mu    sync.Mutex
	rooms map[string]*room
}

type room struct {
	temperature, target float64 // °C
	light               bool
}

// newHouse opens the sockets. Both listen at endpoint, which must have port 0. The caller
// calls Run, which closes them.
func newHouse(ctx context.Context, name, endpoint string) (*House, error) {
	h := &House{name: name, readings: zmq4.NewPub(ctx), commands: zmq4.NewRep(ctx), rooms: make(map[string]*room)}
	for _, r := range Rooms {
		h.rooms[r] = &room{temperature: 18 + 4*rand.Float64(), target: 21}
	}
	for _, socket := range []zmq4.Socket{h.readings, h.commands} {
		if err := socket.Listen(endpoint); err != nil {
			return nil, errors.Join(fmt.Errorf("house %s: %w", name, err), h.close())
		}
	}
	return h, nil
}

// Readings returns the TCP endpoint of the PUB.
func (h *House) Readings() string { return "tcp://" + h.readings.Addr().String() }

// Commands returns the TCP endpoint of the REP.
func (h *House) Commands() string { return "tcp://" + h.commands.Addr().String() }

// Run publishes readings and answers commands until ctx is done, and closes the sockets.
// ctx must be the context that the house was created with, or derived from it.
func (h *House) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return h.publish(ctx) })
	group.Go(func() error { return h.answer(ctx) })
	group.Go(func() error {
		<-ctx.Done()
		_ = h.close() // fails for peers that have already disconnected
		return nil
	})
	return group.Wait()
}

func (h *House) close() error { return errors.Join(h.readings.Close(), h.commands.Close()) }

func (h *House) publish(ctx context.Context) error {
	tick := time.NewTicker(publishInterval)
	defer tick.Stop()
	for {
		for _, name := range Rooms {
			for _, r := range h.measure(name) {
				m := zmq4.NewMsgFrom([]byte("house/"+h.name+"/"+name+"/"+r.quantity), []byte(r.value))
				if err := h.readings.Send(m); err != nil {
					return h.socketError(ctx, err)
				}
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// measure moves the temperature of a room towards its target and returns its readings.
func (h *House) measure(name string) []reading {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.rooms[name]
	r.temperature += (r.target-r.temperature)/10 + (rand.Float64()-0.5)/5
	return []reading{
		{"temperature", strconv.FormatFloat(r.temperature, 'f', 1, 64)},
		{"target", strconv.FormatFloat(r.target, 'f', 1, 64)},
		{"light", onOff[r.light]},
	}
}

// reading is the last level of a topic and the value published there.
type reading struct{ quantity, value string }

var onOff = map[bool]string{true: "on", false: "off"}

func (h *House) answer(ctx context.Context) error {
	for {
		m, err := h.commands.Recv()
		if errors.Is(err, io.EOF) && ctx.Err() == nil {
			continue // a peer has disconnected
		}
		if err != nil {
			return h.socketError(ctx, err)
		}
		_ = h.commands.Send(zmq4.NewMsgString(h.execute(m.Frames))) // the peer may have disconnected
	}
}

// socketError returns err with the name of the house, or nil if the house is shutting down.
func (h *House) socketError(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, context.Canceled) {
		return nil
	}
	return fmt.Errorf("house %s: %w", h.name, err)
}

// execute executes a command and returns the reply.
func (h *House) execute(command [][]byte) string {
	if len(command) != 3 {
		return "error: want the frames target, ROOM and DEGREES, or light, ROOM and on or off"
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	name, value := string(command[1]), string(command[2])
	r := h.rooms[name]
	if r == nil {
		return fmt.Sprintf("error: house %s has no room %q", h.name, name)
	}
	switch string(command[0]) {
	case "target":
		degrees, err := strconv.ParseFloat(value, 64)
		if err != nil || !(degrees >= minTarget && degrees <= maxTarget) {
			return fmt.Sprintf("error: target %q: want %g to %g °C", value, minTarget, maxTarget)
		}
		r.target = degrees
		return fmt.Sprintf("ok: house %s heats its %s to %g °C", h.name, name, degrees)
	case "light":
		if value != "on" && value != "off" {
			return fmt.Sprintf("error: light %q: want on or off", value)
		}
		r.light = value == "on"
		return fmt.Sprintf("ok: house %s turns the light in its %s %s", h.name, name, value)
	}
	return fmt.Sprintf("error: unknown command %q (one of light, target)", command[0])
}
