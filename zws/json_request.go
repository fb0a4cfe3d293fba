package zws

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// The ops of the objects that clients send.
const (
	opLogin       = "login"
	opSubscribe   = "subscribe"
	opUnsubscribe = "unsubscribe"
	opSend        = "send"
	opPing        = "ping"
	opResume      = "resume" // of clients that asked for history
	opAck         = "ack"
)

// jsonRequest is an object that a client has sent.
type jsonRequest struct {
	op                    string
	user, password, token string       // op login
	topic                 []byte       // op subscribe and unsubscribe
	frames                zmtp.Message // op send
	history               bool         // op login
	queue                 *string      // op login; implies history
	batch                 bool         // op login
	last                  bool         // op subscribe
	topics                [][]byte     // op resume
	at                    []byte       // op resume and ack
	has                   map[string]bool
}

// requestForms are the forms that the object of each op can have: the keys beside op, those
// that can come in addition, and a text about the former for the client.
var requestForms = map[string]struct {
	keys     [][]string
	optional []string
	history  bool // only clients that asked for history send it
	text     string
}{
	opLogin: {
		keys:     [][]string{{}, {"user", "password"}, {"token"}},
		optional: []string{"history", "queue", "batch"},
		text:     "user and password, or token, or nothing",
	},
	opSubscribe:   {keys: [][]string{{"topic"}}, optional: []string{"last"}, text: "topic"},
	opUnsubscribe: {keys: [][]string{{"topic"}}, text: "topic"},
	opSend:        {keys: [][]string{{"frames"}}, text: "frames"},
	opPing:        {keys: [][]string{{}}, text: "nothing else"},
	opResume:      {keys: [][]string{{"topics", "at"}}, history: true, text: "topics and at"},
	opAck:         {keys: [][]string{{"at"}}, history: true, text: "at"},
}

// parseRequest reads one object strictly: the keys of its op, each once and in this
// spelling, and nothing else. history is set if the client has asked for that. Errors contain
// no values, which can be secrets.
func parseRequest(p []byte, maxFrames int, history bool) (*jsonRequest, error) {
	if !utf8.Valid(p) {
		return nil, &CloseError{Code: CodeNotUTF8, Reason: "text that is not UTF-8: send such frames as base64"}
	}
	r := &jsonRequest{has: make(map[string]bool)}
	d := requestReader{json.NewDecoder(bytes.NewReader(p)), maxFrames, history}
	if err := r.read(d); err != nil {
		if _, ok := errors.AsType[*CloseError](err); ok {
			return nil, err
		}
		return nil, protocolError(err.Error())
	}
	return r, nil
}

func (r *jsonRequest) read(d requestReader) error {
	err := d.object(func(key string) (err error) {
		if r.has[key] {
			return fmt.Errorf("duplicate key %q", key)
		}
		r.has[key] = true
		switch key {
		case "op":
			r.op, err = d.string(key)
		case "user":
			r.user, err = d.string(key)
		case "password":
			r.password, err = d.string(key)
		case "token":
			r.token, err = d.string(key)
		case "topic":
			r.topic, err = d.frame(key)
		case "frames":
			r.frames, err = d.frames(key)
		case "batch":
			r.batch, err = d.bool(key)
		case "history", "queue":
			err = r.readHistory(d, key)
		case "last", "topics", "at":
			if !d.history {
				return unknownKey(key)
			}
			err = r.readHistory(d, key)
		default:
			return unknownKey(key)
		}
		return err
	})
	if err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("more than one object in a message")
	}
	return r.complete(d.history)
}

func unknownKey(key string) error { return fmt.Errorf("unknown key %.32q", key) }

// complete checks that the object has one of the forms of its op.
func (r *jsonRequest) complete(history bool) error {
	form, known := requestForms[r.op]
	if !known || form.history && !history {
		more := ""
		if history {
			more = ", resume, ack"
		}
		return fmt.Errorf("unknown op %.32q (one of login, subscribe, unsubscribe, send, ping%s)", r.op, more)
	}
	optional := 0
	for _, key := range form.optional {
		if r.has[key] {
			optional++
		}
	}
	for _, keys := range form.keys {
		lacks := func(key string) bool { return !r.has[key] }
		if len(r.has) == 1+len(keys)+optional && !slices.ContainsFunc(keys, lacks) {
			return r.check()
		}
	}
	return fmt.Errorf("op %q takes %s", r.op, form.text)
}

// check checks values that have limits of their own.
func (r *jsonRequest) check() error {
	switch {
	case r.op == opSend && len(r.frames) == 0:
		return errors.New("a message needs at least one frame")
	case len(r.user) > zmtp.MaxPlain, len(r.password) > zmtp.MaxPlain:
		return badCredentials(fmt.Sprintf("user name or password longer than %d bytes", zmtp.MaxPlain))
	case r.queue != nil:
		r.history = true
		return checkQueueName(*r.queue)
	}
	return nil
}

// requestReader reads the values of an object. Its errors are texts for the client.
type requestReader struct {
	*json.Decoder
	maxFrames int
	history   bool
}

// object reads an object and calls member for each key to read its value.
func (d requestReader) object(member func(key string) error) error {
	if err := d.delim('{', "an object"); err != nil {
		return err
	}
	return d.members(member)
}

// members reads the rest of an object.
func (d requestReader) members(member func(key string) error) error {
	for d.More() {
		key, err := d.string("key")
		if err != nil {
			return err
		}
		if err := member(key); err != nil {
			return err
		}
	}
	return d.delim('}', "the end of an object")
}

func (d requestReader) delim(want json.Delim, what string) error {
	if t, err := d.Token(); err != nil || t != want {
		return fmt.Errorf("not a valid request: %s expected", what)
	}
	return nil
}

func (d requestReader) string(key string) (string, error) {
	t, err := d.Token()
	s, ok := t.(string)
	if err != nil || !ok {
		return "", fmt.Errorf("%s must be a string", key)
	}
	return s, nil
}

// frame reads a frame: a string, or {"b64":"…"}.
func (d requestReader) frame(key string) ([]byte, error) {
	t, err := d.Token()
	if err != nil {
		return nil, notFrame(key)
	}
	switch t := t.(type) {
	case string:
		return []byte(t), nil
	case json.Delim:
		if t == '{' {
			return d.base64(key)
		}
	}
	return nil, notFrame(key)
}

// base64 reads the rest of {"b64":"…"}: RFC 4648, section 4, with padding.
func (d requestReader) base64(key string) (frame []byte, err error) {
	n := 0
	err = d.members(func(name string) error {
		if n++; name != "b64" || n > 1 {
			return notFrame(key)
		}
		text, err := d.string(name)
		if err != nil {
			return err
		}
		// The package skips line breaks, which section 3.3 forbids.
		if frame, err = base64.StdEncoding.Strict().DecodeString(text); err != nil || strings.ContainsAny(text, "\r\n") {
			return fmt.Errorf("the b64 in %s is not base64 with padding", key)
		}
		return nil
	})
	if err == nil && n == 0 {
		err = notFrame(key)
	}
	return frame, err
}

func notFrame(key string) error {
	return fmt.Errorf(`%s: a frame must be a string or {"b64":"…"}`, key)
}

// frames reads an array of frames.
func (d requestReader) frames(key string) (zmtp.Message, error) {
	if err := d.delim('[', "an array of frames"); err != nil {
		return nil, err
	}
	var m zmtp.Message
	for d.More() {
		if len(m) == d.maxFrames {
			return nil, tooManyFrames(d.maxFrames)
		}
		frame, err := d.frame(key)
		if err != nil {
			return nil, err
		}
		m = append(m, frame)
	}
	return m, d.delim(']', "the end of the frames")
}
