package bridge_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// clock listens as a PUB that publishes the time, again and again.
func clock(t *testing.T) (endpoint string) {
	t.Helper()
	return listen(t, zmtp.PUB, zap.NULL, answer(zap.OK), func(c *zmtp.Conn) {
		for { // a message every other millisecond or so; how many there are does not matter
			now := binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixNano()))
			if c.Write(zmtp.Message{[]byte("clock"), now}) != nil {
				return
			}
			time.Sleep(2 * time.Millisecond)
		}
	})
}

// TestNothingAfterExpiry: a thousand clients whose login ends at the same moment, and none
// gets a message that was published after it.
func TestNothingAfterExpiry(t *testing.T) {
	const clients = 1000
	end := time.Now().Add(6 * time.Second).Truncate(time.Second)
	handler := native27(t, func(*zap.Request) *zap.Reply {
		return &zap.Reply{Status: zap.OK, UserID: "alice", Metadata: zap.Metadata{{Name: "Expires", Value: fmt.Sprint(end.Unix())}}}
	})
	url, _ := start(t, zapOnly(handler)+routeTo("/d", "SUB", clock(t)))
	var running sync.WaitGroup
	dialling := make(chan struct{}, 20) // at the same time
	for range clients {
		running.Go(func() {
			dialling <- struct{}{}
			c, err := zws.Dial(context.Background(), url+"/d", byToken("token", zmtp.SUB))
			<-dialling
			if zws.Cause(err).Code == 4401 {
				return // a slow machine: the end has come before the login
			}
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			if err := c.Subscribe(nil); err != nil && time.Now().Before(end) {
				t.Error(err)
			}
			for {
				m, err := c.Recv()
				if err != nil {
					if code := zws.Cause(err).Code; code != 4401 {
						t.Errorf("ended with %v, want 4401", err)
					}
					return
				}
				if at := time.Unix(0, int64(binary.BigEndian.Uint64(m[1]))); at.After(end) {
					t.Errorf("delivered %v after the end of the login", at.Sub(end))
					return
				}
			}
		})
	}
	running.Wait()
}

// TestExpiringSoon: a login with less than 30 seconds to live is told so at once.
func TestExpiringSoon(t *testing.T) {
	const life = 20 * time.Second
	handler := native27(t, func(*zap.Request) *zap.Reply {
		end := fmt.Sprint(time.Now().Add(life).Unix())
		return &zap.Reply{Status: zap.OK, UserID: "alice", Metadata: zap.Metadata{{Name: "Expires", Value: end}}}
	})
	url, _ := start(t, zapOnly(handler)+routeTo("/d", "SUB", silent(t, zmtp.PUB)))
	notices := make(chan zws.Notice, 10)
	o := byToken("token", zmtp.SUB)
	o.Notice = func(n zws.Notice) { notices <- n }
	c := connect(t, url+"/d", o)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			if _, err := c.Recv(); err != nil {
				return
			}
		}
	}()
	if n := <-notices; n.Expiring <= 0 || n.Expiring > life {
		t.Errorf("notice %+v, want one of a login that ends in less than %v", n, life)
	}
	c.Close()
	<-ended
}

// TestFarExpiry: logins that end beyond what a clock of 64 bits counts in nanoseconds (2262),
// or JSON writes (9999), are good, and operators see them.
func TestFarExpiry(t *testing.T) {
	for end, year := range map[string]int{
		"9223372036":          2262,
		"9999999999":          2286,
		"253402300799":        9999,
		"253402300800":        1, // the zero time: it does not end
		"1798761600000":       1, // in milliseconds
		"9223372036854775807": 1,
	} {
		handler := native27(t, func(*zap.Request) *zap.Reply {
			return &zap.Reply{Status: zap.OK, UserID: "alice", Metadata: zap.Metadata{{Name: "Expires", Value: end}}}
		})
		url, b := start(t, zapOnly(handler)+routeTo("/d", "SUB", publisher(t, message("a", "1"))))
		c := connect(t, url+"/d", byToken("token", zmtp.SUB))
		if err := c.Subscribe(nil); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Recv(); err != nil {
			t.Errorf("Expires %s: %v", end, err)
		}
		list := b.Sessions()
		if len(list) != 1 || list[0].Expires.UTC().Year() != year {
			t.Errorf("Expires %s: %+v, want one session that ends in the year %d", end, list, year)
		}
		if _, err := json.Marshal(list); err != nil {
			t.Errorf("Expires %s: %v", end, err)
		}
	}
}
