package zmtp

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zwsbridge/zwsbridge/zap"
)

// wireFlows are the bodies of all command frames of NULL, PLAIN and BEARER. curve_test.go
// checks those of CURVE.
var wireFlows = []struct {
	name     string
	m        zap.Mechanism
	libzmq   bool
	status   zap.Status
	commands []string
}{
	{"NULL", zap.NULL, false, 200, []string{
		"05 5245414459" + dealerHex,
		"05 5245414459" + routerHex,
	}},
	{"NULL refused", zap.NULL, false, 400, []string{
		"05 5245414459" + dealerHex,
		"05 4552524f52 03 343030",
	}},
	{"PLAIN", zap.PLAIN, false, 200, []string{
		"05 48454c4c4f 04 616e6e61 09 67656865696d2d3721",
		"07 57454c434f4d45",
		"08 494e495449415445" + dealerHex,
		"05 5245414459" + routerHex,
	}},
	{"PLAIN refused", zap.PLAIN, false, 500, []string{
		"05 48454c4c4f 04 616e6e61 09 67656865696d2d3721",
		"05 4552524f52 03 353030",
	}},
	{"PLAIN refused, libzmq", zap.PLAIN, true, 400, []string{
		"05 48454c4c4f 04 616e6e61 09 67656865696d2d3721",
		"5e 52524f52 03 343030",
	}},
	{"BEARER", zap.BEARER, false, 200, []string{
		"05 48454c4c4f 6865616465722e7061796c6f61642e7369676e6174757265",
		"07 57454c434f4d45",
		"08 494e495449415445" + dealerHex,
		"05 5245414459" + routerHex,
	}},
	{"BEARER refused", zap.BEARER, true, 400, []string{
		"05 48454c4c4f 6865616465722e7061796c6f61642e7369676e6174757265",
		"05 4552524f52 03 343030",
	}},
}

const (
	dealerHex = "0b 536f636b65742d54797065 00000006 4445414c4552" + "08 4964656e74697479 00000007 70616e656c2d31"
	routerHex = "0b 536f636b65742d54797065 00000006 524f55544552"
)

// TestWireFormat compares the commands of whole handshakes byte by byte.
func TestWireFormat(t *testing.T) {
	for _, f := range wireFlows {
		t.Run(f.name, func(t *testing.T) {
			p := newPair(t, f.m)
			p.server.LibzmqError = f.libzmq
			p.server.Handler = zap.HandlerFunc(func(context.Context, *zap.Request) (*zap.Reply, error) {
				return &zap.Reply{Status: f.status}, nil
			})
			client, server := p.sides(t)
			sent, _ := client.Next(t.Context(), nil)
			for i, want := range f.commands {
				if sent == nil {
					t.Fatalf("command %d is missing", i)
				}
				encoded := sent.Append(nil)
				if got := hex.EncodeToString(encoded); got != strings.ReplaceAll(want, " ", "") {
					t.Errorf("command %d is\n%s, want\n%s", i, got, want)
				}
				in, err := ParseCommand(encoded)
				if err != nil {
					t.Fatal(err)
				}
				sent, _ = []Mechanism{server, client}[i%2].Next(t.Context(), &in)
			}
			if sent != nil || client.Done() != (f.status == 200) {
				t.Errorf("after the last command: %v, done %v", sent, client.Done())
			}
		})
	}
}

func TestParsePlain(t *testing.T) {
	long := strings.Repeat("x", 255)
	for _, c := range []struct{ user, password string }{
		{"", ""}, {"anna", ""}, {"", "p"}, {"anna", "geheim"}, {long, long}, {"\x00\xff", "\n"},
	} {
		got := parsePlain(appendPlain(nil, c.user, c.password))
		if diff := cmp.Diff([][]byte{[]byte(c.user), []byte(c.password)}, got); diff != "" {
			t.Error(diff)
		}
	}
	for _, data := range []string{"", "\x00", "\x04", "\x04ann", "\x04anna", "\x04anna\x01", "\x04anna\x01pp", "\xff" + long, "\xff" + long[1:] + "\x00"} {
		if got := parsePlain([]byte(data)); got != nil {
			t.Errorf("%q is parsed as %q", data, got)
		}
	}
}

func TestParseError(t *testing.T) {
	cases := []struct {
		data string
		want error // nil: a protocol error
	}{
		{"\x03300", &RefusedError{Status: 300}},
		{"\x03400", &RefusedError{Status: 400}},
		{"\x03500", &RefusedError{Status: 500}},
		{"\x03200", &RefusedError{Reason: "200"}},
		{"\x03404", &RefusedError{Reason: "404"}},
		{"\x04 400", &RefusedError{Reason: " 400"}},
		{"\x0bgo away now", &RefusedError{Reason: "go away now"}},
		{"\x00", &RefusedError{}},
		{"\xff" + strings.Repeat("r", 255), &RefusedError{Reason: strings.Repeat("r", 255)}},
		{"", nil},
		{"\x03", nil},
		{"\x0340", nil},
		{"\x034000", nil},
		{"400", nil},
	}
	for _, c := range cases {
		got := parseError([]byte(c.data))
		if c.want == nil {
			if !errors.Is(got, ErrProtocol) {
				t.Errorf("%q: %v", c.data, got)
			}
			continue
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%q: %s", c.data, diff)
		}
	}
}

// TestNullServerIsRefused checks that the server side of NULL accepts an ERROR: the mechanism
// is symmetric.
func TestNullServerIsRefused(t *testing.T) {
	_, server := newPair(t, zap.NULL).sides(t)
	out, err := server.Next(t.Context(), &Command{Name: cmdError, Data: []byte("\x03400")})
	if out != nil {
		t.Errorf("%s was sent", out.Name)
	}
	checkRefusal(t, err, 400)
}

// TestReasonOfARefusal checks that the text of the ZAP reply is in the error, up to 255 bytes.
func TestReasonOfARefusal(t *testing.T) {
	cases := []struct{ text, want string }{
		{"wrong password", "wrong password"},
		{strings.Repeat("a", 255), strings.Repeat("a", 255)},
		{strings.Repeat("a", 256), strings.Repeat("a", 255)},
		{strings.Repeat("a", 254) + "é", strings.Repeat("a", 254)},
		{strings.Repeat("\x80", 300), ""},
	}
	for _, c := range cases {
		p := newPair(t, zap.PLAIN)
		p.server.Handler = zap.HandlerFunc(func(context.Context, *zap.Request) (*zap.Reply, error) {
			return &zap.Reply{Status: zap.Refused, Text: c.text}, nil
		})
		client, server := p.sides(t)
		err := shake(t, client, server).serverErr
		peer := &Peer{Mechanism: zap.PLAIN, Credentials: [][]byte{[]byte("anna"), []byte("geheim-7!")}}
		if diff := cmp.Diff(error(&RefusedError{Status: 400, Reason: c.want, Peer: peer}), err); diff != "" {
			t.Error(diff)
		}
	}
}
