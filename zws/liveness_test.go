package zws_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/zws"
)

// TestPingsNeverAnswered: a client that never answers a ping is given up after two, unless its
// dialect is that of libzmq without a mechanism, which answers none.
func TestPingsNeverAnswered(t *testing.T) {
	for _, test := range []struct {
		offer, target string
		login         []string
		closed        bool
	}{
		{"ZWS2.0", "/", []string{"\x00"}, false},
		{"ZWS2.0/NULL", "/", []string{"\x02\x05READY" + dealerMetadata}, true},
		{"ZWS2.0+PLAIN", "/", []string{helloCommand, initiate}, true},
		{"ZWS1.0", "/?type=DEALER", []string{"\x00"}, true},
		{"ZWS1.0", "/?type=DEALER&connect=x", nil, true}, // webtalk
		{"WSNetMQ", "/", nil, true},
		{"ZWSJSON1.0", "/", []string{`{"op":"login"}`}, true},
		{"ZWSMUX1.0", "/", []string{"\x01\x04NULL"}, true},
	} {
		t.Run(test.offer+test.target, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := options()
				o.Multiplex = true
				p, done := acceptPipeAt(t, o, test.target, offering(test.offer))
				for _, step := range test.login {
					kind := byte(0x82)
					if step[0] == '{' {
						kind = 0x81
					}
					p.write(frame(kind, step))
					if _, _, err := p.receive(); err != nil {
						t.Fatal(err)
					}
				}
				conn := (<-done).conn
				if test.offer == "ZWSMUX1.0" {
					go conn.NextChannel(t.Context())
				} else {
					go conn.Channel().ReadMessage()
				}
				pings := 0
				first := byte(0x89)
				for ; first == 0x89 && pings < 10; pings++ {
					var err error
					if first, _, err = p.receive(); err != nil {
						t.Fatal(err)
					}
				}
				if closed := pings < 10; closed != test.closed || closed && (pings > 3 || conn.Cause().Code != 4408) {
					t.Errorf("closed %v with %v after %d frames", closed, conn.Cause(), pings)
				}
				conn.Close(nil)
				p.conn.Close()
				conn.Wait()
			})
		})
	}
}

// TestUnfinishedMessage: a message that is begun and not ended ends the connection, however the
// client puts it off, and whether there are pings or not. One that arrives slowly does not.
func TestUnfinishedMessage(t *testing.T) {
	slow := make([][]byte, 20)
	for i := range slow {
		slow[i] = frame(0x00, strings.Repeat("m", 400<<10))
	}
	repeat := func(p []byte) [][]byte {
		list := make([][]byte, 100)
		for i := range list {
			list[i] = p
		}
		return list
	}
	long := frame(0x82, "\x00"+strings.Repeat("m", 1000))
	for _, test := range []struct {
		name    string
		begin   []byte
		further [][]byte // one in 10 seconds
		closed  bool
	}{
		{"nothing begun", nil, repeat(frame(0x8A, "")), false},
		{"half a frame, then pongs cannot come", long[:500], nil, true},
		{"half a frame, byte by byte", long[:500], bytesOf(long[500:600]), true},
		{"fragment, then pongs", frame(0x02, "\x00"), repeat(frame(0x8A, "")), true},
		{"fragment, then pings", frame(0x02, "\x00"), repeat(frame(0x89, "")), true},
		{"empty fragments", frame(0x02, "\x00"), repeat(frame(0x00, "")), true},
		{"frame with more to come, then pongs", frame(0x82, "\x01m"), repeat(frame(0x8A, "")), true},
		{"empty frames with more to come", frame(0x82, "\x01m"), repeat(frame(0x82, "\x01")), true},
		{"many messages", frame(0x82, "\x00m"), repeat(frame(0x82, "\x00m")), false},
		{"slow", frame(0x02, "\x00"), append(slow, frame(0x80, ""), frame(0x8A, "")), false},
	} {
		for _, interval := range []time.Duration{zws.DefaultPingInterval, -1} {
			t.Run(fmt.Sprintf("%s %v", test.name, interval), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := options()
					o.PingInterval, o.MaxMessage, o.MaxFrames = interval, 1<<24, 1<<10
					p, done := acceptPipe(t, o, offering("ZWS2.0+PLAIN"))
					p.send(helloCommand)
					p.receive()
					p.send(initiate)
					p.receive()
					conn := (<-done).conn
					go drop(conn)
					go io.Copy(io.Discard, p.conn)
					start := time.Now()
					if test.begin != nil {
						p.write(test.begin)
					}
					for _, piece := range test.further {
						time.Sleep(10 * time.Second)
						if conn.Context().Err() != nil {
							break
						}
						p.conn.Write(piece) // fails if the connection ends meanwhile
					}
					if test.closed {
						<-conn.Context().Done()
						c := conn.Cause()
						if c.Code != 4408 || c.Reason == "" || time.Since(start) > 110*time.Second {
							t.Errorf("%v after %v", c, time.Since(start))
						}
					} else if conn.Context().Err() != nil {
						t.Errorf("closed: %v after %v", conn.Cause(), time.Since(start))
					}
					conn.Close(nil)
					p.conn.Close()
					conn.Wait()
				})
			})
		}
	}
}

func bytesOf(p []byte) [][]byte {
	var list [][]byte
	for i := range p {
		list = append(list, p[i:i+1])
	}
	return list
}
