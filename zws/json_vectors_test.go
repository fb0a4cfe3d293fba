package zws

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws/internal/wsframe"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// hexBytes are bytes in hexadecimal, with spaces between.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(strings.ReplaceAll(string(text), " ", ""))
	return err
}

// vectors are the parts of the vectors that this package uses; see package muxframe for the
// rest.
type vectors struct {
	Mux     []struct{ Bytes hexBytes }
	Invalid []struct{ Bytes hexBytes } `json:"mux_invalid"`
	JSON    []struct {
		Name, Text string
		Frames     []hexBytes
		Position   hexBytes
		Time       uint64
	}
	Commands        []commandVector
	InvalidCommands []commandVector `json:"commands_invalid"`
}

// commandVector is a command of ZWS2.0.
type commandVector struct {
	Name, From, Command string
	Bytes, Position     hexBytes
	Topics              []hexBytes
	Time                uint64
	Flags               byte
}

func readVectors(t testing.TB) (v vectors) {
	t.Helper()
	text, err := os.ReadFile("testdata/mux-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Mux) == 0 || len(v.Invalid) == 0 || len(v.JSON) == 0 || len(v.Commands) == 0 || len(v.InvalidCommands) == 0 {
		t.Fatal("vectors are missing")
	}
	return v
}

// TestJSONVectors checks the vectors that other implementations check too.
func TestJSONVectors(t *testing.T) {
	for _, vector := range readVectors(t).JSON {
		var m zmtp.Message
		for _, frame := range vector.Frames {
			m = append(m, frame)
		}
		want := append(wsframe.AppendHeader(nil, wsframe.Text, len(vector.Text)), vector.Text...)
		if got := appendText(nil, func(dst []byte) []byte { return appendObject(dst, m, mark{vector.Position, vector.Time}) }); !bytes.Equal(got, want) {
			t.Errorf("%s is written as %q", vector.Name, got)
		}
		if got := (jsonCodec{marks: true}).AppendMessage(nil, m, vector.Position); vector.Time == 0 && !bytes.Equal(got, want) {
			t.Errorf("%s is written for several clients as %q", vector.Name, got)
		}
	}
}

// TestCommandVectors checks the commands of ZWS2.0: those of a client are written by the client
// and read by the server, and the reverse.
func TestCommandVectors(t *testing.T) {
	v := readVectors(t)
	for _, vector := range v.Commands {
		var got []byte
		if vector.From == "client" {
			got = rewriteRequest(t, vector)
		} else {
			got = rewriteNotice(t, vector)
		}
		if !bytes.Equal(got, vector.Bytes) {
			t.Errorf("%s is written as %x", vector.Name, got)
		}
	}
	for _, vector := range v.InvalidCommands {
		c, err := zmtp.ParseCommand(vector.Bytes)
		if err != nil {
			t.Fatalf("%s: %v", vector.Name, err)
		}
		if vector.From == "client" {
			_, err = historyCommand(c)
		} else {
			s := newClientSocket(&DialOptions{})
			_, err = s.receiveHistory(c)
		}
		if Cause(err).Code != CodeProtocol {
			t.Errorf("%s: %v", vector.Name, err)
		}
	}
}

// rewriteRequest reads a command of a client, compares it, and writes it again.
func rewriteRequest(t *testing.T, v commandVector) []byte {
	t.Helper()
	c, err := zmtp.ParseCommand(v.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	r, err := historyCommand(c)
	if err != nil {
		t.Fatalf("%s: %v", v.Name, err)
	}
	if c.Name != v.Command || !bytes.Equal(r.At, v.Position) || !slices.EqualFunc(r.Topics, v.Topics, func(a []byte, b hexBytes) bool { return bytes.Equal(a, b) }) {
		t.Errorf("%s is read as %+v", v.Name, r)
	}
	return r.command().Append(nil)
}

// rewriteNotice reads a command of a server, compares it, and writes it again.
func rewriteNotice(t *testing.T, v commandVector) []byte {
	t.Helper()
	c, err := zmtp.ParseCommand(v.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	var got Notification
	s := newClientSocket(&DialOptions{Notify: func(n Notification) { got = n }})
	if done, err := s.receiveHistory(c); !done || err != nil || c.Name != v.Command {
		t.Fatalf("%s: %v, %v", v.Name, done, err)
	}
	b := newBatch(&Conn{dialect: dialects["ZWS2.0+NULL"]}, false)
	defer b.free()
	switch v.Command {
	case "AT":
		if !bytes.Equal(s.mark.at, v.Position) || s.mark.micros != v.Time {
			t.Errorf("%s is read as %+v", v.Name, s.mark)
		}
		err = b.command("AT", mark{v.Position, v.Time}.appendAt(nil))
	case "RESUMED":
		if got.Resumed == nil || resumedFlags(got.Resumed.Recovered, got.Resumed.Gap) != v.Flags || !bytes.Equal(s.history.at, v.Position) {
			t.Errorf("%s is read as %+v", v.Name, got)
		}
		err = commandNotifier{}.resumed(b, v.Position, v.Flags&1 != 0, v.Flags&2 != 0)
	case "LIVE":
		if !got.Live || !bytes.Equal(s.history.at, v.Position) {
			t.Errorf("%s is read as %+v", v.Name, got)
		}
		err = commandNotifier{}.live(b, v.Position)
	}
	if err != nil {
		t.Fatal(err)
	}
	return payload(t, b.own)[1:] // without the flag byte
}
