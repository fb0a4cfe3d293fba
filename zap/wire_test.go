package zap

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// frames converts strings to frames.
func frames(s ...string) [][]byte {
	f := make([][]byte, len(s))
	for i := range s {
		f[i] = []byte(s[i])
	}
	return f
}

// TestRequestExamples parses and marshals the examples of 27/ZAP, "Example Exchanges".
func TestRequestExamples(t *testing.T) {
	for _, c := range []struct {
		frames [][]byte
		want   Request
	}{
		{
			frames("1.0", "0001", "test", "192.168.55.1", "BOB", "NULL"),
			Request{ID: "0001", Domain: "test", Address: "192.168.55.1", RoutingID: []byte("BOB"), Mechanism: NULL, Credentials: [][]byte{}},
		},
		{
			frames("1.0", "0001", "test", "192.168.55.1", "BOB", "PLAIN", "admin", "secret"),
			Request{ID: "0001", Domain: "test", Address: "192.168.55.1", RoutingID: []byte("BOB"), Mechanism: PLAIN, Credentials: frames("admin", "secret")},
		},
	} {
		got, err := ParseRequest(c.frames)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(&c.want, got); d != "" {
			t.Error(d)
		}
		again, err := got.Frames()
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.frames, again); d != "" {
			t.Error(d)
		}
	}
}

func TestReplyExample(t *testing.T) {
	wire := frames("1.0", "0001", "200", "OK", "joe", "")
	got, err := ParseReply(wire, "0001")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&Reply{Status: OK, Text: "OK", UserID: "joe"}, got); d != "" {
		t.Error(d)
	}
	again, err := got.Frames("0001")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(wire, again, cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
}

func TestParseRequestLimits(t *testing.T) {
	key, long := strings.Repeat("k", 32), strings.Repeat("x", MaxString)
	many := strings.Split(strings.Repeat("c ", MaxCredentials), " ")[:MaxCredentials]
	for name, c := range map[string]struct {
		ok     bool
		frames []string
	}{
		"six frames":              {true, []string{"1.0", "1", "d", "", "", "NULL"}},
		"five frames":             {false, []string{"1.0", "1", "d", "", ""}},
		"none":                    {false, nil},
		"empty id":                {true, []string{"1.0", "", "d", "", "", "NULL"}},
		"binary id":               {true, []string{"1.0", "\x00\xff", "d", "", "", "NULL"}},
		"id at the limit":         {true, []string{"1.0", strings.Repeat("i", MaxRequestID), "d", "", "", "NULL"}},
		"id over the limit":       {false, []string{"1.0", strings.Repeat("i", MaxRequestID+1), "d", "", "", "NULL"}},
		"another version":         {false, []string{"1.1", "1", "d", "", "", "NULL"}},
		"version and more":        {false, []string{"1.0 ", "1", "d", "", "", "NULL"}},
		"empty domain":            {false, []string{"1.0", "1", "", "", "", "NULL"}},
		"domain at the limit":     {true, []string{"1.0", "1", long, "", "", "NULL"}},
		"domain over the limit":   {false, []string{"1.0", "1", long + "x", "", "", "NULL"}},
		"domain not ASCII":        {false, []string{"1.0", "1", "häuser", "", "", "NULL"}},
		"domain with control":     {false, []string{"1.0", "1", "a\nb", "", "", "NULL"}},
		"libzmq's ipc address":    {true, []string{"1.0", "1", "d", ":0:0:4711", "", "NULL"}},
		"address over the limit":  {false, []string{"1.0", "1", "d", long + "x", "", "NULL"}},
		"identity at the limit":   {true, []string{"1.0", "1", "d", "", long, "NULL"}},
		"identity binary":         {true, []string{"1.0", "1", "d", "", "\x00\xff", "NULL"}},
		"identity over the limit": {false, []string{"1.0", "1", "d", "", long + "x", "NULL"}},
		"empty mechanism":         {false, []string{"1.0", "1", "d", "", "", ""}},
		"NULL with credentials":   {false, []string{"1.0", "1", "d", "", "", "NULL", "x"}},
		"PLAIN without password":  {false, []string{"1.0", "1", "d", "", "", "PLAIN", "u"}},
		"PLAIN":                   {true, []string{"1.0", "1", "d", "", "", "PLAIN", "ü", "p"}},
		"PLAIN with three":        {false, []string{"1.0", "1", "d", "", "", "PLAIN", "u", "p", "x"}},
		"CURVE of 31":             {false, []string{"1.0", "1", "d", "", "", "CURVE", key[1:]}},
		"CURVE of 32":             {true, []string{"1.0", "1", "d", "", "", "CURVE", key}},
		"CURVE of 33":             {false, []string{"1.0", "1", "d", "", "", "CURVE", key + "k"}},
		"BEARER":                  {true, []string{"1.0", "1", "d", "", "", "BEARER", strings.Repeat("t", 4096)}},
		"GSSAPI, unknown":         {true, []string{"1.0", "1", "d", "", "", "GSSAPI", "principal"}},
		"credentials at limit":    {true, append([]string{"1.0", "1", "d", "", "", "X"}, many...)},
		"credentials over limit":  {false, append([]string{"1.0", "1", "d", "", "", "X", "c"}, many...)},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := ParseRequest(frames(c.frames...))
			if c.ok != (err == nil) {
				t.Fatalf("error %v, want ok %v", err, c.ok)
			}
			if err != nil {
				if !errors.Is(err, ErrMalformed) {
					t.Errorf("%v does not wrap ErrMalformed", err)
				}
				return
			}
			if again, err := r.Frames(); err != nil || !cmp.Equal(again, frames(c.frames...)) {
				t.Errorf("marshals to %q, %v", again, err)
			}
		})
	}
}

func TestParseReplyDefects(t *testing.T) {
	long := strings.Repeat("x", MaxString)
	user := "\x04name\x00\x00\x00\x02Jo"
	for name, c := range map[string]struct {
		want   *Reply // nil: malformed
		frames []string
	}{
		"good":                     {&Reply{Status: OK, UserID: "joe", Metadata: Metadata{{"name", "Jo"}}}, []string{"1.0", "7", "200", "", "joe", user}},
		"300":                      {&Reply{Status: Temporary, Text: "later"}, []string{"1.0", "7", "300", "later", "", ""}},
		"500":                      {&Reply{Status: Internal}, []string{"1.0", "7", "500", "", "", ""}},
		"refused with a user":      {&Reply{Status: Refused, Text: "no"}, []string{"1.0", "7", "400", "no", "müller", user}},
		"five frames":              {nil, []string{"1.0", "7", "200", "", "joe"}},
		"seven frames":             {nil, []string{"1.0", "7", "200", "", "joe", "", ""}},
		"wrong version":            {nil, []string{"2.0", "7", "200", "", "joe", ""}},
		"wrong id":                 {nil, []string{"1.0", "8", "200", "", "joe", ""}},
		"status 299":               {nil, []string{"1.0", "7", "299", "", "joe", ""}},
		"status with space":        {nil, []string{"1.0", "7", " 200", "", "joe", ""}},
		"status 0200":              {nil, []string{"1.0", "7", "0200", "", "joe", ""}},
		"status empty":             {nil, []string{"1.0", "7", "", "", "joe", ""}},
		"text at the limit":        {&Reply{Status: OK, Text: long}, []string{"1.0", "7", "200", long, "", ""}},
		"text over the limit":      {nil, []string{"1.0", "7", "200", long + "x", "", ""}},
		"user at the limit":        {&Reply{Status: OK, UserID: long}, []string{"1.0", "7", "200", "", long, ""}},
		"user over the limit":      {nil, []string{"1.0", "7", "200", "", long + "x", ""}},
		"user not ASCII":           {nil, []string{"1.0", "7", "200", "", "müller", ""}},
		"user with NUL":            {nil, []string{"1.0", "7", "200", "", "joe\x00root", ""}},
		"metadata truncated":       {nil, []string{"1.0", "7", "200", "", "joe", user[:len(user)-1]}},
		"metadata of huge size":    {nil, []string{"1.0", "7", "200", "", "joe", "\x01n\xff\xff\xff\xff"}},
		"metadata with empty name": {nil, []string{"1.0", "7", "200", "", "joe", "\x00\x00\x00\x00\x00"}},
		"metadata name with space": {nil, []string{"1.0", "7", "200", "", "joe", "\x03a b\x00\x00\x00\x00"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseReply(frames(c.frames...), "7")
			if c.want == nil {
				if !errors.Is(err, ErrMalformed) {
					t.Fatalf("reply %+v, error %v, want ErrMalformed", got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestFramesNotExpressible: what has no wire form is an error, and is not sent in altered form.
func TestFramesNotExpressible(t *testing.T) {
	for name, r := range map[string]*Reply{
		"status":   {Status: 299},
		"user":     {Status: OK, UserID: "müller"},
		"metadata": {Status: OK, Metadata: Metadata{{"a b", ""}}},
	} {
		if f, err := r.Frames("1"); !errors.Is(err, ErrNotExpressible) {
			t.Errorf("%s: frames %q, error %v", name, f, err)
		}
	}
	if _, err := (&Request{Mechanism: NULL}).Frames(); !errors.Is(err, ErrNotExpressible) {
		t.Errorf("request without a domain: error %v", err)
	}
	text := &Reply{Status: Refused, Text: "nö\n" + strings.Repeat("x", 300), UserID: "müller"}
	f, err := text.Frames("1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseReply(f, "1"); err != nil {
		t.Errorf("a text that was shortened: %v", err)
	}
}

func TestSplitEnvelope(t *testing.T) {
	deep := strings.Split(strings.Repeat("r ", MaxEnvelope), " ")[:MaxEnvelope]
	for name, c := range map[string]struct {
		frames []string
		cut    int // -1: malformed
	}{
		"REQ":              {[]string{"", "1.0"}, 1},
		"one hop":          {[]string{"r", "", "1.0"}, 2},
		"empty id":         {[]string{"r", "", "1.0", "", "d"}, 2},
		"at the limit":     {append(deep, "", "1.0"), MaxEnvelope + 1},
		"over the limit":   {append(append([]string{"r"}, deep...), "", "1.0"), -1},
		"no delimiter":     {[]string{"1.0", "1", "d"}, -1},
		"nothing":          {nil, -1},
		"delimiter at end": {[]string{"r", ""}, 2},
	} {
		envelope, body, err := SplitEnvelope(frames(c.frames...))
		if c.cut < 0 {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: error %v", name, err)
			}
			continue
		}
		if err != nil || len(envelope) != c.cut || len(body) != len(c.frames)-c.cut {
			t.Errorf("%s: %d + %d frames, error %v, want the cut at %d", name, len(envelope), len(body), err, c.cut)
		}
	}
}

func TestIP(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "fe80::1%eth0": "fe80::1", "2001:DB8::1": "2001:db8::1",
		"": "", ":0:0:4711": "", "192.0.2.1:80": "",
	} {
		ip, ok := (&Request{Address: address}).IP()
		if ok != (want != "") || ok && ip.String() != want {
			t.Errorf("%q: %v %v, want %q", address, ip, ok, want)
		}
	}
}

// join and split convert frames to and from one fuzz input: each frame after two bytes of length.
func join(frames [][]byte) []byte {
	var b []byte
	for _, f := range frames {
		b = append(b, byte(len(f)>>8), byte(len(f)))
		b = append(b, f...)
	}
	return b
}

func split(b []byte) [][]byte {
	var frames [][]byte
	for len(b) >= 2 {
		n := min(int(b[0])<<8|int(b[1]), len(b)-2)
		frames = append(frames, b[2:2+n])
		b = b[2+n:]
	}
	return frames
}

var requestCorpus = [][]string{
	{"1.0", "0001", "test", "192.168.55.1", "BOB", "NULL"},
	{"1.0", "0001", "test", "192.168.55.1", "", "PLAIN", "admin", "secret"},
	{"1.0", "1", "global", "::1", "", "CURVE", "01234567890123456789012345678901"},
	{"1.0", "1", "global", "", "", "BEARER", "token"},
	{"2.0", "1", "global", "", "", "NULL"},
}

var replyCorpus = [][]string{
	{"1.0", "0001", "200", "OK", "joe", ""},
	{"1.0", "0001", "200", "OK", "joe", "\x04Tags\x00\x00\x00\x05admin"},
	{"1.0", "0001", "400", "no", "", ""},
	{"1.0", "0001", "299", "", "", ""},
}

func TestCorpora(t *testing.T) {
	if len(requestCorpus) == 0 || len(replyCorpus) == 0 {
		t.Error("fuzz target without seeds")
	}
}

func FuzzParseRequest(f *testing.F) {
	for _, c := range requestCorpus {
		f.Add(join(frames(c...)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := split(b)
		r, err := ParseRequest(in)
		if err != nil {
			return
		}
		out, err := r.Frames()
		if err != nil || !bytes.Equal(join(in), join(out)) {
			t.Errorf("%q became %q, %v", in, out, err)
		}
	})
}

func FuzzParseReply(f *testing.F) {
	for _, c := range replyCorpus {
		f.Add(join(frames(c...)), "0001")
	}
	f.Fuzz(func(t *testing.T, b []byte, id string) {
		in := split(b)
		r, err := ParseReply(in, id)
		if err != nil {
			return
		}
		if len(id) > MaxRequestID {
			return
		}
		if r.Status != OK {
			in[4], in[5] = nil, nil // dropped
		}
		out, err := r.Frames(id)
		if err != nil || !bytes.Equal(join(in), join(out)) {
			t.Errorf("%q became %q, %v", in, out, err)
		}
	})
}

func FuzzParseMetadata(f *testing.F) {
	f.Add(Metadata{{"Socket-Type", "DEALER"}, {"Identity", ""}}.Append(nil))
	f.Add([]byte("\x01n\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMetadata(b)
		if err != nil {
			return
		}
		if again := m.Append(nil); !bytes.Equal(b, again) {
			t.Errorf("%q became %q", b, again)
		}
	})
}
