package bridge_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

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
