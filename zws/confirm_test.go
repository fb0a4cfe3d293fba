package zws

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

// TestPingsCounted follows the pings of a connection with clients of all kinds. Steps:
//
//	tick  a ping of liveness is due
//	c5    a batch is to be confirmed with token 5
//	-     an empty pong
//	-2    a pong with the number 2
//
// After the step stand the pings that are written, "L" for one of liveness, and what is
// confirmed.
func TestPingsCounted(t *testing.T) {
	for name, steps := range map[string]string{
		"one":                      "c5:1 -1:=5 c6:2 -2:=6",
		"empty pongs, as libzmq":   "c5:1 -:=5 c6:2 -:=6",
		"the newest token waits":   "c5:1 c6: c7: -1:=5,2 -2:=7 c8:3",
		"liveness first":           "tick:L c5: -:1 -1:=5",
		"liveness first, then two": "tick:L c5: c6: -:1 -:=6",
		"liveness between":         "c5:1 tick:L c6: -1:=5 -:2 -2:=6",
		"the same, empty":          "c5:1 tick:L c6: -:=5 -:2 -:=6",
		"never answers":            "tick:L c5: tick:L,1 c6: tick:L tick:L",
		"never answers, asked":     "c5:1 tick:L c6: tick:L c7:",
		"answers late":             "tick:L c5: tick:L,1 -: -: -1:=5 c6:2 -2:=6",
		"answers late, empty":      "tick:L c5: tick:L,1 -: -: -:=5 c6:2 -:=6",
		"answers the newest":       "tick:L c5: tick:L,1 -1:=5 c6:2 -2:=6",
		"the newest, then more":    "c5:1 tick:L tick:L c6: -1:=5 tick:L,2 -2:=6 c7:3 -3:=7",
		// The answer to the last of three pings counts for the first. The next batch waits until
		// it is plain that the two others are not answered.
		"the newest of liveness": "c5:1 tick:L tick:L -:=5 c6: tick:L,2 -2:=6",
		"unsolicited":            "-: -7: c5:1 -7: -0: -1:=5 -1: c6:2 -1: -:=6",
		"idle":                   "tick:L -: tick:L -: tick:L",
	} {
		t.Run(name, func(t *testing.T) {
			var p pings
			for _, step := range strings.Fields(steps) {
				action, want, _ := strings.Cut(step, ":")
				var got []string
				token, number := uint64(0), uint32(0)
				switch {
				case action == "tick":
					p.tick()
				case action[0] == 'c':
					fmt.Sscanf(action, "c%d", &token)
					p.waiting, p.next = true, token
				default:
					payload := ""
					if n, _ := fmt.Sscanf(action, "-%d", &number); n == 1 {
						payload = string(binary.BigEndian.AppendUint32(nil, number))
					}
					if token, ok := p.answer(payload); ok {
						got = append(got, fmt.Sprint("=", token))
					}
				}
				for written := p.append(nil); len(written) > 0; {
					n := 2 + int(written[1])
					if written[0] != 0x89 {
						t.Fatalf("%x is not a ping", written)
					} else if n == 2 {
						got = append(got, "L")
					} else {
						got = append(got, fmt.Sprint(binary.BigEndian.Uint32(written[2:])))
					}
					written = written[n:]
				}
				if got := strings.Join(got, ","); got != want {
					t.Fatalf("%s: got %q in %+v", step, got, p)
				}
			}
		})
	}
}
