package zws_test

import (
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws"
)

// TestJSONArrays checks that a client that asked for arrays gets everything in arrays, in order:
// messages that are shared with other clients, its own, notifications, the reason of the end.
func TestJSONArrays(t *testing.T) {
	const messages = 1000
	o := options()
	s := serveWith(t, o, plain, accept, func(c *zws.Conn) {
		ch := c.Channel()
		codec, ok := ch.Codec()
		if !ok {
			t.Error("no codec")
		}
		ch.Attach(&mixed{codec: codec, sizes: []int{0, 1, 100}, last: messages})
		for {
			if _, err := ch.ReadMessage(); err != nil {
				return
			}
		}
	})
	plainClient, p := s.dialJSON(t), s.dialJSON(t)
	plainClient.say(jsonLogin)
	plainClient.hear(jsonReady)
	p.say(`{"op":"login","user":"alice","password":"secret","batch":true}`)
	p.hear("[" + jsonReady + "]")
	p.say(`{"op":"ping"}`)
	var got []uint32
	frames := 0
	for pong := false; len(got) < messages || !pong; frames++ {
		var objects []struct {
			Op     string
			Frames []json.RawMessage
		}
		_, text, err := p.receive()
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(text), &objects); err != nil || len(objects) == 0 {
			t.Fatalf("%.100q: %v", text, err)
		}
		for _, object := range objects {
			if object.Op == "pong" {
				pong = true
			} else {
				got = append(got, binary.BigEndian.Uint32(decoded(t, object.Frames[0])))
			}
		}
	}
	for i, n := range got {
		if n != uint32(i) {
			t.Fatalf("message %d has number %d", i, n)
		}
	}
	if frames > messages/5 {
		t.Errorf("%d messages in %d arrays", messages, frames)
	}
	for range messages { // the other client still gets objects
		if _, text, err := plainClient.receive(); err != nil || !strings.HasPrefix(text, `{"op":"message"`) {
			t.Fatalf("%.100q, %v", text, err)
		}
	}
	p.say(`{"op":"login","token":"t","batch":true}`)
	if _, text, err := p.receive(); err != nil || text != `[{"op":"error","code":1002,"reason":"second login: only a BEARER login can be renewed, by a token"}]` {
		t.Errorf("%q, %v", text, err)
	}
	p.expectClose(1002, "second login: only a BEARER login can be renewed, by a token")
}

// decoded returns the bytes of a frame in JSON.
func decoded(t *testing.T, frame json.RawMessage) []byte {
	t.Helper()
	var object struct{ B64 []byte }
	if json.Unmarshal(frame, &object) == nil {
		return object.B64
	}
	var text string
	if err := json.Unmarshal(frame, &text); err != nil {
		t.Fatal(err)
	}
	return []byte(text)
}

// TestJSONArraysRefused checks the error of a login that asks for arrays.
func TestJSONArraysRefused(t *testing.T) {
	s := serve(t, options(), plain)
	p := s.dialJSON(t)
	p.say(`{"op":"login","user":"400","password":"secret","batch":true}`)
	p.hear(`[{"op":"error","code":4400,"reason":"login refused"}]`)
	p = s.dialJSON(t)
	p.say(`{"op":"login","batch":1}`)
	p.hearError(1002, "batch must be true or false")
}
