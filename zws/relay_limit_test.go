package zws

import (
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestCheckRelayed: which messages a relayed channel accepts.
func TestCheckRelayed(t *testing.T) {
	const limit = 100
	encode := func(messages ...zmtp.Message) (p []byte) {
		for _, m := range messages {
			p = muxCodec{}.AppendMessage(p, m, nil)
		}
		return p
	}
	for _, test := range []struct {
		name string
		p    []byte
		code Code
	}{
		{"a command", encode(zmtp.Message{[]byte("\x02\x05READY")}), 0},
		{"two frames", encode(zmtp.Message{[]byte("\x01a")}, zmtp.Message{[]byte("\x00b")}), 0},
		{"nothing but a flag", encode(zmtp.Message{{0}}), 0},
		{"no flag", encode(zmtp.Message{{}}), CodeProtocol},
		{"another flag", encode(zmtp.Message{{3}}), CodeProtocol},
		{"another flag in the second", encode(zmtp.Message{{1}}, zmtp.Message{{0xff}}), CodeProtocol},
		{"a message of two frames", encode(zmtp.Message{{1}, {0}}), CodeProtocol},
		{"as long as may be", encode(zmtp.Message{[]byte(strings.Repeat("\x00", limit+frameOverhead))}), 0},
		{"longer", encode(zmtp.Message{[]byte(strings.Repeat("\x00", limit+frameOverhead+1))}), CodeTooLarge},
		{"nothing", nil, CodeProtocol},
		{"cut off", encode(zmtp.Message{[]byte("\x00abc")})[:9], CodeProtocol},
	} {
		err := checkRelayed(test.p, limit)
		if err == nil != (test.code == 0) || err != nil && Cause(err).Code != test.code {
			t.Errorf("%s: %v, want %d", test.name, err, test.code)
		}
	}
}
