// Package demo is what `zwsbridge demo` shows: houses that speak ZeroMQ, and a page.
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
	published = time.Second // how often a house tells its temperatures
	lowest    = 5.0         // °C that may be asked for
	highest   = 30.0
)

// House is a device with two ZeroMQ sockets: a PUB that tells of each room, as
// house/NAME/ROOM/temperature, …/target and …/light, and a REP that takes the commands
// "target ROOM DEGREES" and "light ROOM on|off". It knows nothing of browsers, users or
// WebSockets.
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

// newHouse opens the sockets at an endpoint of zmq4, a free port each. The caller calls
// Run, which closes them.
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

// Readings is the TCP endpoint of the PUB.
func (h *House) Readings() string { return "tcp://" + h.readings.Addr().String() }

// Commands is the TCP endpoint of the REP.
func (h *House) Commands() string { return "tcp://" + h.commands.Addr().String() }

// Run works until ctx, which must be the one that it was made with, is done.
func (h *House) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return h.publish(ctx) })
	group.Go(func() error { return h.answer(ctx) })
	group.Go(func() error {
		<-ctx.Done()
		_ = h.close() // it complains of peers that have gone first
		return nil
	})
	return group.Wait()
}

func (h *House) close() error { return errors.Join(h.readings.Close(), h.commands.Close()) }

func (h *House) publish(ctx context.Context) error {
	tick := time.NewTicker(published)
	defer tick.Stop()
	for {
		for _, name := range Rooms {
			for _, r := range h.measure(name) {
				m := zmq4.NewMsgFrom([]byte("house/"+h.name+"/"+name+"/"+r.what), []byte(r.value))
				if err := h.readings.Send(m); err != nil {
					return h.ended(ctx, err)
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

// measure lets the temperature of a room drift towards its target, and tells all about it.
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

// reading is the last level of a topic, and what is published there.
type reading struct{ what, value string }

var onOff = map[bool]string{true: "on", false: "off"}

func (h *House) answer(ctx context.Context) error {
	for {
		m, err := h.commands.Recv()
		if errors.Is(err, io.EOF) && ctx.Err() == nil {
			continue // one peer has gone
		}
		if err != nil {
			return h.ended(ctx, err)
		}
		_ = h.commands.Send(zmq4.NewMsgString(h.obey(m.Frames))) // who asked may have gone
	}
}

// ended is the error of a socket: none if it only says that the house is to end.
func (h *House) ended(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, context.Canceled) {
		return nil
	}
	return fmt.Errorf("house %s: %w", h.name, err)
}

// obey carries a command out and says what came of it.
func (h *House) obey(command [][]byte) string {
	if len(command) != 3 {
		return "error: want the frames target, ROOM, DEGREES or light, ROOM, on or off"
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	name, value := string(command[1]), string(command[2])
	r := h.rooms[name]
	if r == nil {
		return fmt.Sprintf("error: house %s has no such room", h.name)
	}
	switch string(command[0]) {
	case "target":
		degrees, err := strconv.ParseFloat(value, 64)
		if err != nil || !(degrees >= lowest && degrees <= highest) {
			return fmt.Sprintf("error: want %g to %g °C", lowest, highest)
		}
		r.target = degrees
		return fmt.Sprintf("ok: house %s heats its %s to %g °C", h.name, name, degrees)
	case "light":
		if value != "on" && value != "off" {
			return "error: want on or off"
		}
		r.light = value == "on"
		return fmt.Sprintf("ok: house %s turns the light in its %s %s", h.name, name, value)
	}
	return "error: want target or light"
}
