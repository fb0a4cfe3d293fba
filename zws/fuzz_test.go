package zws

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/internal/wsframe"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// The seeds of the fuzz targets: valid and invalid input.
var (
	frameSeeds = [][]byte{
		{}, {0}, {1}, {2}, {3}, {'0'}, {'1'}, {0x80}, {0, 1}, {1, 1, 'a'},
		[]byte("\x02\x05HELLO\x05alice\x06secret"), []byte("\x00\x01topic"), []byte("01topic"), []byte("\x02\x09SUBSCRIBE"),
		bytes.Repeat([]byte{0}, 125), bytes.Repeat([]byte{0}, 126), bytes.Repeat([]byte{1}, 1<<16),
	}
	querySeeds = []string{
		"", "type=SUB", "type=dealer", "type=REQ&type=REP", "type=SUB&connect=tcp://a:1&subscribe=&subscribe=t%00",
		"type=XSUB&identity=me&bind=ipc:///x", "type=PUB&subscribe=a", "connect=", "type=%zz", "type=SUB&text", "identity=" + strings.Repeat("i", 256),
	}
	offerSeeds = []string{
		"", "ZWS2.0", "ZWS2.0/NULL,ZWS2.0", "ZWS2.0+PLAIN, chat", " , ,", "ZWS1.0", "WSNetMQ", strings.Repeat("a,", 100),
	}
)

func TestSeeds(t *testing.T) {
	for name, n := range map[string]int{"frames": len(frameSeeds), "queries": len(querySeeds), "offers": len(offerSeeds)} {
		if n == 0 {
			t.Errorf("no seeds of %s", name)
		}
	}
}

// FuzzFrame: a frame that a codec reads is written with the same bytes.
func FuzzFrame(f *testing.F) {
	for _, seed := range frameSeeds {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, p []byte, commands bool) {
		for _, codec := range []frameCodec{zwsFrames, webtalkFrames} {
			frame, err := codec.parse(p, commands)
			if err != nil {
				if Cause(err).Code != CodeProtocol {
					t.Errorf("%x: %v", p, err)
				}
				continue
			}
			if frame.Command {
				if !commands || p[0] != flagCommand {
					t.Errorf("%x is taken for a command", p)
				}
				continue
			}
			m := zmtp.Message{frame.Body}
			if frame.More {
				m = append(m, nil) // something has to follow
			}
			encoded := codec.AppendMessage(nil, m, nil)
			if !bytes.Equal(payload(t, encoded), p) {
				t.Errorf("%x is written as %x", p, encoded)
			}
		}
	})
}

// payload returns the payload of the first WebSocket frame in p.
func payload(t *testing.T, p []byte) []byte {
	if p[0] != wsframe.Binary {
		t.Fatalf("first byte %02x", p[0])
	}
	size, head := int(p[1]), 2
	switch size {
	case 126:
		size, head = int(p[2])<<8|int(p[3]), 4
	case 127:
		size, head = 0, 10
		for _, b := range p[2:10] {
			size = size<<8 | int(b)
		}
	}
	return p[head : head+size]
}

// FuzzQuery: no URL makes a login that exceeds the limits.
func FuzzQuery(f *testing.F) {
	for _, seed := range querySeeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		for _, name := range []string{"ZWS1.0", "ZWS2.0"} {
			d := dialectFor(name, q)
			if d.query == nil {
				continue
			}
			var l Login
			if err := d.query(q, &l); err != nil {
				if Cause(err).Code != CodeNotTaken {
					t.Errorf("%q: %v", raw, err)
				}
				continue
			}
			if !l.SocketType.Valid() || len(l.RoutingID) > MaxRoutingID || len(l.Wishes().Connect) > maxQueryValues ||
				len(l.Wishes().Bind) > maxQueryValues || len(l.Wishes().Subscribe) > maxQueryValues {
				t.Errorf("%q makes %+v", raw, l)
			}
			if len(l.Wishes().Subscribe) > 0 && !l.SocketType.Subscribes() {
				t.Errorf("%q lets %s subscribe", raw, l.SocketType)
			}
		}
	})
}

// FuzzRequest: every request is either accepted or refused, and credentials are never
// silently ignored.
func FuzzRequest(f *testing.F) {
	for _, offered := range offerSeeds {
		f.Add(offered, "Basic YWxpY2U6c2VjcmV0", "zws_token=a", "http://example.org")
		f.Add(offered, "Bearer a", "", "null")
		f.Add(offered, "", "", "")
		f.Add(offered, "Digest a", "zws_token=", "https://a\x00b")
	}
	f.Fuzz(func(t *testing.T, offered, authorization, cookie, origin string) {
		r := &http.Request{Host: "example.org", URL: new(url.URL), Header: http.Header{}}
		for name, value := range map[string]string{
			"Sec-Websocket-Protocol": offered, "Authorization": authorization, "Cookie": cookie, "Origin": origin,
		} {
			if value != "" {
				r.Header[name] = []string{value}
			}
		}
		o, err := Options{
			Handler: zap.HandlerFunc(nil), Domain: "d", Mechanisms: []zap.Mechanism{zap.NULL, zap.PLAIN, zap.BEARER},
			Announce: zmtp.PUB, Untyped: zmtp.SUB, ClientTypes: []zmtp.SocketType{zmtp.SUB}, PlaintextAllowed: true,
		}.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		if list := offers(r); len(list) > maxOffers {
			t.Errorf("%d offers are looked at", len(list))
		}
		h, refusal := choose(r, o)
		if (h == nil) == (refusal == nil) {
			t.Fatalf("chosen %v, refused %v", h, refusal)
		}
		if h == nil {
			return
		}
		if !strings.Contains(offered, h.chosen.name) {
			t.Errorf("%q was chosen of %q", h.chosen.name, offered)
		}
		bare := h.chosen.dialect.mechanism == "" || h.chosen.dialect.mechanism == zap.NULL
		if bare && h.credentials.mechanism == zap.NULL && authorization != "" && originNamed(r, o) {
			t.Errorf("Authorization %q counts for nothing", authorization)
		}
	})
}

// FuzzReason: a close frame is never too long, and its reason is always UTF-8.
func FuzzReason(f *testing.F) {
	for _, seed := range []string{"", "login refused", strings.Repeat("é", 70), "\xff", strings.Repeat("\xff", 200)} {
		f.Add(seed, 4400)
	}
	f.Fuzz(func(t *testing.T, reason string, code int) {
		p := closeFrame(&CloseError{Code: Code(code), Reason: reason})
		if len(p) > 2+125 || int(p[1]) != len(p)-2 {
			t.Fatalf("close frame of %d bytes", len(p))
		}
		if len(p) > 4 && strings.ToValidUTF8(string(p[4:]), "") != string(p[4:]) {
			t.Errorf("%q becomes %q", reason, p[4:])
		}
	})
}
