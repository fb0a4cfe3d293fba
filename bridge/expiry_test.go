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

// clockPublisher starts a PUB that publishes the time, about every two milliseconds.
func clockPublisher(t *testing.T) (endpoint string) {
	t.Helper()
	return listen(t, zmtp.PUB, zap.NULL, always(zap.OK), func(c *zmtp.Conn) {
		for {
			now := binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixNano()))
			if c.Write(zmtp.Message{[]byte("clock"), now}) != nil {
				return
			}
			time.Sleep(2 * time.Millisecond)
		}
	})
}

// TestNoMessageAfterExpiry checks, with a thousand clients whose logins expire at the same moment,
// that none gets a message that was published after it.
func TestNoMessageAfterExpiry(t *testing.T) {
	const clients = 1000
	end := time.Now().Add(6 * time.Second).Truncate(time.Second)
	handler := zapHandler(t, func(*zap.Request) *zap.Reply {
		return &zap.Reply{Status: zap.OK, UserID: "alice", Metadata: zap.Metadata{{Name: "Expires", Value: fmt.Sprint(end.Unix())}}}
	})
	url, _ := start(t, zapOnly(handler)+routeTo("/d", "SUB", clockPublisher(t)))
	var running sync.WaitGroup
	dialing := make(chan struct{}, 20) // limits concurrent logins
	for range clients {
		running.Go(func() {
			dialing <- struct{}{}
			c, err := zws.Dial(context.Background(), url+"/d", bearerLogin("token", zmtp.SUB))
			<-dialing
			if zws.Cause(err).Code == 4401 {
				return // the login took so long that it has expired
			}
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			if err := c.Subscribe(t.Context(), nil); err != nil && time.Now().Before(end) {
				t.Error(err)
			}
			for {
				m, err := c.Recv(t.Context())
				if err != nil {
					if code := zws.Cause(err).Code; code != 4401 {
						t.Errorf("ended with %v, want 4401", err)
					}
					return
				}
				if at := time.Unix(0, int64(binary.BigEndian.Uint64(m[1]))); at.After(end) {
					t.Errorf("got a message published %v after the login expired", at.Sub(end))
					return
				}
			}
		})
	}
	running.Wait()
}

// TestExpiringSoon checks that a client whose login expires in less than 30 seconds is notified at
// once.
func TestExpiringSoon(t *testing.T) {
	const life = 20 * time.Second
	handler := zapHandler(t, func(*zap.Request) *zap.Reply {
		end := fmt.Sprint(time.Now().Add(life).Unix())
		return &zap.Reply{Status: zap.OK, UserID: "alice", Metadata: zap.Metadata{{Name: "Expires", Value: end}}}
	})
	url, _ := start(t, zapOnly(handler)+routeTo("/d", "SUB", silent(t, zmtp.PUB)))
	notices := make(chan zws.Notification, 10)
	o := bearerLogin("token", zmtp.SUB)
	o.Notify = func(n zws.Notification) { notices <- n }
	c := connect(t, url+"/d", o)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			if _, err := c.Recv(t.Context()); err != nil {
				return
			}
		}
	}()
	if n := <-notices; n.Expiring <= 0 || n.Expiring > life {
		t.Errorf("notification %+v, want a login that expires in less than %v", n, life)
	}
	c.Close()
	<-ended
}

// TestFarExpiry checks logins that expire later than a 64-bit count of nanoseconds can express
// (2262) or RFC 3339 can write (9999): they are accepted, and operators see them.
func TestFarExpiry(t *testing.T) {
	for end, year := range map[string]int{
		"9223372036":          2262,
		"9999999999":          2286,
		"253402300799":        9999,
		"253402300800":        1, // the zero time: no expiry
		"1798761600000":       1, // probably milliseconds
		"9223372036854775807": 1,
	} {
		handler := zapHandler(t, func(*zap.Request) *zap.Reply {
			return &zap.Reply{Status: zap.OK, UserID: "alice", Metadata: zap.Metadata{{Name: "Expires", Value: end}}}
		})
		url, b := start(t, zapOnly(handler)+routeTo("/d", "SUB", publisher(t, message("a", "1"))))
		c := connect(t, url+"/d", bearerLogin("token", zmtp.SUB))
		if err := c.Subscribe(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Recv(t.Context()); err != nil {
			t.Errorf("Expires %s: %v", end, err)
		}
		list := b.Sessions()
		if len(list) != 1 || list[0].Expires.UTC().Year() != year {
			t.Errorf("Expires %s: %+v, want one session that expires in the year %d", end, list, year)
		}
		if _, err := json.Marshal(list); err != nil {
			t.Errorf("Expires %s: %v", end, err)
		}
	}
}
