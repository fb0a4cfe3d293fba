package zws_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

const (
	jsonLogin = `{"op":"login","user":"alice","password":"secret"}`
	jsonReady = `{"op":"ready"}`
)

func (s *server) dialJSON(t testing.TB, header ...string) *raw {
	t.Helper()
	return s.dialRaw(t, "/", append(header, offering("ZWSJSON1.0"))...)
}

func (p *raw) say(object string) {
	p.t.Helper()
	p.write(frame(0x81, object))
}

// hear reads a text frame and compares its object.
func (p *raw) hear(object string) {
	p.t.Helper()
	first, got, err := p.receive()
	if err != nil || first != 0x81 || got != object {
		p.t.Fatalf("received %02x %.200q, %v; want 81 %.200q", first, got, err, object)
	}
}

// TestJSON: the bytes on the WebSocket. The server echoes.
func TestJSON(t *testing.T) {
	type step struct{ say, hear string } // either may be empty
	o := options()
	o.ClientTypes = append(o.ClientTypes, zmtp.SUB)
	sub := o
	sub.Untyped = zmtp.SUB
	message := func(frames string) step {
		return step{`{"op":"send","frames":` + frames + `}`, `{"op":"message","frames":` + frames + `}`}
	}
	for name, test := range map[string]struct {
		options   zws.Options
		mechanism zap.Mechanism
		steps     []step
	}{
		"PLAIN":   {o, zap.PLAIN, []step{{jsonLogin, jsonReady}, message(`["a","b"]`)}},
		"BEARER":  {o, zap.BEARER, []step{{`{"op":"login","token":"t"}`, jsonReady}, message(`[""]`)}},
		"NULL":    {o, zap.NULL, []step{{`{"op":"login"}`, jsonReady}}},
		"spaces":  {o, zap.PLAIN, []step{{" {\n\"password\" : \"secret\", \"user\":\"alice\",\t\"op\":\"login\" } ", jsonReady}}},
		"escapes": {o, zap.NULL, []step{{`{"op":"login"}`, jsonReady}, message(`["\u0000\u001f\"\\é☃😀/"]`), {`{"op":"send","frames":["\u00e9\n\/"]}`, `{"op":"message","frames":["é\u000a/"]}`}}},
		"bytes":   {o, zap.NULL, []step{{`{"op":"login"}`, jsonReady}, message(`["t",{"b64":"/w=="},{"b64":"gAA="}]`)}},
		"base64 that is UTF-8": {o, zap.NULL, []step{{`{"op":"login"}`, jsonReady},
			{`{"op":"send","frames":[{"b64":"aGk="},{"b64":""}]}`, `{"op":"message","frames":["hi",""]}`}}},
		"subscriptions": {sub, zap.NULL, []step{{`{"op":"login"}`, jsonReady},
			{`{"op":"subscribe","topic":"a/"}`, `{"op":"message","frames":["\u0001a/"]}`},
			{`{"op":"unsubscribe","topic":""}`, `{"op":"message","frames":["\u0000"]}`},
			{`{"op":"subscribe","topic":{"b64":"/w=="}}`, `{"op":"message","frames":[{"b64":"Af8="}]}`}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, test.options, plain)
			p := s.dialJSON(t)
			for _, step := range test.steps {
				p.say(step.say)
				p.hear(step.hear)
			}
			l := (<-s.accepted).conn.Login()
			if l.Dialect != "ZWSJSON1.0" || l.Mechanism != test.mechanism {
				t.Errorf("dialect %s, mechanism %s", l.Dialect, l.Mechanism)
			}
		})
	}
}

// TestJSONLengths: messages with each of the three forms of the WebSocket header.
func TestJSONLengths(t *testing.T) {
	p := serve(t, options(), plain).dialJSON(t)
	p.say(`{"op":"login"}`)
	p.hear(jsonReady)
	overhead := len(`{"op":"message","frames":[""]}`)
	for _, n := range []int{125, 126, 1<<16 - 1, 1 << 16} {
		frames := `"frames":["` + strings.Repeat("x", n-overhead) + `"]}`
		p.say(`{"op":"send",` + frames)
		p.hear(`{"op":"message",` + frames)
	}
}

// TestJSONRefused: a refused client gets an object and then the close frame.
func TestJSONRefused(t *testing.T) {
	login := func(user string) string { return `{"op":"login","user":"` + user + `","password":""}` }
	for name, test := range map[string]struct {
		say    string
		change func(*zws.Options)
		code   zws.Code
		reason string
	}{
		"300":               {login("300"), nil, 4300, "the login cannot be checked at present: try again later"},
		"400":               {login("400"), nil, 4400, "login refused"},
		"500":               {login("500"), nil, 4500, "logins are not possible: the ZAP handler of the server is broken"},
		"a token":           {`{"op":"login","token":"400"}`, nil, 4400, "login refused"},
		"no login":          {`{"op":"login"}`, wants(zap.PLAIN), 4400, "authentication required"},
		"another mechanism": {jsonLogin, wants(zap.BEARER), 4406, "this route does not accept PLAIN logins"},
		"plaintext":         {jsonLogin, inTheClear, 4403, "PLAIN is not accepted without TLS"},
		"long password":     {`{"op":"login","user":"u","password":"` + strings.Repeat("p", 256) + `"}`, nil, 4400, "user name or password longer than 255 bytes"},
		"a message first":   {`{"op":"send","frames":["a"]}`, nil, 1002, `the first object must be {"op":"login",…}`},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			if test.change != nil {
				test.change(&o)
			}
			p := serve(t, o, plain).dialJSON(t)
			p.say(test.say)
			p.hearError(test.code, test.reason)
		})
	}
	t.Run("rejected", func(t *testing.T) {
		cause := &zws.CloseError{Code: 4403, Reason: `not "here"`}
		p := serveWith(t, options(), plain, rejectWith(cause), echo).dialJSON(t)
		p.say(jsonLogin)
		p.hearError(4403, `not "here"`)
	})
	t.Run("at the upgrade", func(t *testing.T) {
		p := refuseAll(t, &zws.CloseError{Code: 4404, Status: zap.Refused, Reason: "no such route"}).dialJSON(t)
		p.hear(`{"op":"error","code":4404,"reason":"no such route"}`)
		p.expectClose(4404, "no such route")
	})
}

// TestJSONFaults: a client that breaks the protocol loses its connection, before the login and
// after it.
func TestJSONFaults(t *testing.T) {
	const notJSON = "not a valid request: "
	o := options()
	o.MaxFrames, o.MaxMessage = 3, 100
	s := serve(t, o, plain)
	good := s.dialJSON(t)
	good.say(jsonLogin)
	good.hear(jsonReady)
	for _, test := range []struct {
		send   []byte
		code   zws.Code
		reason string
	}{
		{frame(0x82, jsonLogin), 1003, "binary frame: this protocol is text"},
		{frame(0x81, ""), 1002, notJSON + "an object expected"},
		{frame(0x81, "[]"), 1002, notJSON + "an object expected"},
		{frame(0x81, `{"op":"login"`), 1002, notJSON + "the end of an object expected"},
		{frame(0x81, `{"op":"login",}`), 1002, "key must be a string"},
		{frame(0x81, `{"op":"login"}{}`), 1002, "more than one object in a message"},
		{frame(0x81, `{"op":"login"} x`), 1002, "more than one object in a message"},
		{frame(0x81, `{}`), 1002, `unknown op "" (one of login, subscribe, unsubscribe, send, ping)`},
		{frame(0x81, `{"op":"ready"}`), 1002, `unknown op "ready" (one of login, subscribe, unsubscribe, send, ping)`},
		{frame(0x81, `{"op":7}`), 1002, "op must be a string"},
		{frame(0x81, `{"OP":"login"}`), 1002, `unknown key "OP"`},
		{frame(0x81, `{"op":"login","op":"login"}`), 1002, `duplicate key "op"`},
		{frame(0x81, `{"op":"login","user":"a"}`), 1002, `op "login" takes user and password, or token, or nothing`},
		{frame(0x81, `{"op":"login","user":"a","password":"b","token":"c"}`), 1002, `op "login" takes user and password, or token, or nothing`},
		{frame(0x81, `{"op":"send"}`), 1002, `op "send" takes frames`},
		{frame(0x81, `{"op":"send","frames":[]}`), 1002, "a message needs at least one frame"},
		{frame(0x81, `{"op":"send","frames":"a"}`), 1002, notJSON + "an array of frames expected"},
		{frame(0x81, `{"op":"send","frames":[1]}`), 1002, `frames: a frame must be a string or {"b64":"…"}`},
		{frame(0x81, `{"op":"send","frames":[{}]}`), 1002, `frames: a frame must be a string or {"b64":"…"}`},
		{frame(0x81, `{"op":"send","frames":[{"b64":"","b64":""}]}`), 1002, `frames: a frame must be a string or {"b64":"…"}`},
		{frame(0x81, `{"op":"send","frames":[{"b64":"/w"}]}`), 1002, "the b64 in frames is not base64 with padding"},
		{frame(0x81, `{"op":"send","frames":[{"b64":"/w==\n"}]}`), 1002, "the b64 in frames is not base64 with padding"},
		{frame(0x81, `{"op":"send","frames":[{"b64":"/x=="}]}`), 1002, "the b64 in frames is not base64 with padding"},
		{frame(0x81, `{"op":"send","frames":[[[[[["a"]]]]]]}`), 1002, `frames: a frame must be a string or {"b64":"…"}`},
		{frame(0x81, `{"op":"subscribe","topic":["a"]}`), 1002, `topic: a frame must be a string or {"b64":"…"}`},
		{frame(0x81, `{"op":"send","frames":["","","",""]}`), 1009, "message of more than 3 frames"},
		{frame(0x81, "{\"op\":\"login\",\"token\":\"\xff\"}"), 1007, "text that is not UTF-8: send such frames as base64"},
	} {
		for _, before := range []string{"", jsonLogin} {
			p := s.dialJSON(t)
			if before != "" {
				p.say(before)
				p.hear(jsonReady)
			}
			p.write(test.send)
			p.hearError(test.code, test.reason)
		}
	}
	for _, test := range []struct {
		say    string
		code   zws.Code
		reason string
	}{
		{jsonLogin, 1002, "second login: only a BEARER login can be renewed, by a token"},
		{`{"op":"login","token":"alice"}`, 1002, "second login: only a BEARER login can be renewed, by a token"},
		{`{"op":"subscribe","topic":"a"}`, 1002, "this route has no subscriptions: its clients are DEALER"},
		{`{"op":"send","frames":["` + strings.Repeat("x", 101) + `"]}`, 1009, "message longer than 100 bytes"},
	} {
		p := s.dialJSON(t)
		p.say(jsonLogin)
		p.hear(jsonReady)
		p.say(test.say)
		p.hearError(test.code, test.reason)
	}
	full := `"frames":["","","` + strings.Repeat("x", 100) + `"]}`
	good.say(`{"op":"send",` + full)
	good.hear(`{"op":"message",` + full)
}

// hearError reads the error object and the close frame that follows.
func (p *raw) hearError(code zws.Code, reason string) {
	p.t.Helper()
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(reason)
	p.hear(fmt.Sprintf(`{"op":"error","code":%d`, code) + `,"reason":"` + quoted + `"}`)
	p.expectClose(code, reason)
}

// TestJSONLimits: MaxHandshake bounds the login object; later ones may have the size of a
// message in base64.
func TestJSONLimits(t *testing.T) {
	o := options()
	o.MaxHandshake, o.MaxMessage = 100, 3000
	s := serve(t, o, plain)
	token := func(n int) string {
		login := `{"op":"login","token":""}`
		return strings.Replace(login, `""`, `"`+strings.Repeat("t", n-len(login))+`"`, 1)
	}
	p := s.dialJSON(t)
	p.say(token(100))
	p.hear(jsonReady)
	p.say(`{"op":"send","frames":[{"b64":"` + strings.Repeat("/v//", 1000) + `"}]}`)
	p.hear(`{"op":"message","frames":[{"b64":"` + strings.Repeat("/v//", 1000) + `"}]}`)
	p.say(`{"op":"send","frames":["` + strings.Repeat(`\u0000`, 3000) + `"]}`)
	p.hearError(1009, "larger than this server accepts")
	p = s.dialJSON(t)
	p.say(token(101))
	p.hearError(1009, "larger than this server accepts")
}

// TestJSONAmbient: a login without credentials uses those of the HTTP request.
func TestJSONAmbient(t *testing.T) {
	s := serve(t, options(), plain)
	p := s.dialJSON(t, "Cookie: zws_token=alice")
	p.say(`{"op":"login"}`)
	p.hear(jsonReady)
	if l := (<-s.accepted).conn.Login(); l.Mechanism != zap.BEARER || l.User() != "alice" {
		t.Errorf("%s %q", l.Mechanism, l.User())
	}
	p = s.dialJSON(t, "Cookie: zws_token=alice")
	p.say(`{"op":"login","user":"bob","password":"b"}`)
	p.hear(jsonReady)
	if l := (<-s.accepted).conn.Login(); l.Mechanism != zap.PLAIN || l.User() != "bob" {
		t.Errorf("%s %q", l.Mechanism, l.User())
	}
	p = s.dialJSON(t, "Cookie: zws_token=alice", "Authorization: Bearer bob")
	p.say(`{"op":"login"}`)
	p.hearError(4400, "more than one kind of credentials in the request")
	p = s.dialJSON(t, "Cookie: zws_token=alice", "Authorization: Bearer bob")
	p.say(jsonLogin)
	p.hear(jsonReady)
}

// TestJSONRenewal: another token of the same user is answered with another ready.
func TestJSONRenewal(t *testing.T) {
	renewed := make(chan struct{}, 1)
	s := serveWith(t, options(), plain, acceptWith(zws.AcceptOptions{Renew: func(context.Context, *zws.Login) error {
		renewed <- struct{}{}
		return nil
	}}), echo)
	p := s.dialJSON(t)
	p.say(`{"op":"login","token":"alice"}`)
	p.hear(jsonReady)
	p.say(`{"op":"login","token":"alice"}`)
	p.hear(jsonReady)
	<-renewed
	p.say(`{"op":"login","token":"alice"}`)
	p.hearError(4429, "a login can be renewed at most once per second")
	p = s.dialJSON(t)
	p.say(`{"op":"login","token":"alice"}`)
	p.hear(jsonReady)
	p.say(`{"op":"login","token":"bob"}`)
	p.hearError(4401, "renewal refused: the token is for another user")
}

// TestJSONNotifications: every client is notified of losses, of the end of its login and of
// dropped subscriptions.
func TestJSONNotifications(t *testing.T) {
	s := serve(t, options(), plain)
	p := s.dialJSON(t)
	p.say(jsonLogin)
	p.hear(jsonReady)
	conn := (<-s.accepted).conn
	conn.Channel().Lost(3)
	p.hear(`{"op":"lost","count":3}`)
	conn.Expiring(time.Minute)
	p.hear(`{"op":"expiring","seconds":60}`)
	for _, topic := range []string{`"a/\"é"`, `""`, `{"b64":"/wA="}`} {
		p.say(`{"op":"send","frames":["unsubscribed",` + topic + `]}`)
		p.hear(`{"op":"unsubscribed","topic":` + topic + `}`)
	}
	conn.Close(nil)
	p.expectClose(1000, "")
}
