package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

func TestPrintNotification(t *testing.T) {
	for want, n := range map[string]zws.Notification{
		"zwsbridge: 3 messages lost: this client is too slow\n":                           {Lost: 3},
		"zwsbridge: the login expires in 30s\n":                                           {Expiring: 30 * time.Second},
		"zwsbridge: unsubscribed from house/alice/: the login no longer permits it\n":     {Unsubscribed: []byte("house/alice/")},
		"zwsbridge: unsubscribed from \"\\x1b[31m\\n\": the login no longer permits it\n": {Unsubscribed: []byte("\x1b[31m\n")},
		"zwsbridge: unsubscribed from all topics: the login no longer permits it\n":       {Unsubscribed: []byte{}},
		"": {Renewed: true},
	} {
		var out strings.Builder
		if printNotification(&out, n); out.String() != want {
			t.Errorf("%+v: %q, want %q", n, out.String(), want)
		}
	}
}

// output is a standard output that reports each write.
type output struct {
	strings.Builder
	written chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	defer func() { o.written <- struct{}{} }()
	return o.Builder.Write(p)
}

// restarting is a PUB that is busy at the first login, sends one message to the second client
// and asks it to come back once that is printed, and sends two to the third.
func restarting(t *testing.T, printed <-chan struct{}) (url string) {
	var logins atomic.Int32
	busyFirst := zap.HandlerFunc(func(context.Context, *zap.Request) (*zap.Reply, error) {
		if logins.Add(1) == 1 {
			return nil, zap.Busy(time.Second)
		}
		return &zap.Reply{Status: zap.OK}, nil
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		login, err := zws.Accept(context.Background(), w, r, zws.Options{
			Handler: busyFirst, Domain: "test", Mechanisms: []zap.Mechanism{zap.NULL},
			Announce: zmtp.PUB, ClientTypes: []zmtp.SocketType{zmtp.SUB}, Untyped: zmtp.SUB, PlaintextAllowed: true,
		})
		if err != nil {
			return
		}
		conn, err := login.Accept(zws.AcceptOptions{})
		if err != nil {
			return
		}
		channel := conn.Channel()
		if subscription, err := channel.ReadMessage(); err != nil || string(subscription[0]) != "\x01house/" {
			t.Errorf("subscription %q, %v", subscription, err)
		}
		if logins.Load() == 2 {
			_ = channel.Send(t.Context(), zmtp.Message{[]byte("house/one")})
			<-printed
			conn.Close(&zws.CloseError{Code: zws.CodeGoingAway, Reason: "restarting", RetryAfter: time.Second})
			return
		}
		_ = channel.Send(t.Context(), zmtp.Message{[]byte("house/two")})
		_ = channel.Send(t.Context(), zmtp.Message{[]byte("house/three")})
		_, _ = channel.ReadMessage()
		conn.Close(nil)
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http") + "/"
}

// TestRetryAdvice checks that sub comes back when the server says, and not before.
func TestRetryAdvice(t *testing.T) {
	out := &output{written: make(chan struct{}, 2)}
	var errs strings.Builder
	began := time.Now()
	code := run(t.Context(), []string{"sub", restarting(t, out.written), "-s", "house/", "-n", "2"}, strings.NewReader(""), out, &errs)
	if code != exitSuccess || out.String() != "house/one\nhouse/two\n" {
		t.Errorf("exit code %d, output %q, standard error:\n%s", code, out.String(), errs.String())
	}
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("it took %v, want two waits of at least one second", took)
	}
	for _, want := range []string{
		"zwsbridge: 4300 too many logins at the same time; retry in 1s; trying again in 1.",
		"zwsbridge: 1001 restarting; retry in 1s; trying again in 1.",
	} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("standard error %q, want %q", errs.String(), want)
		}
	}
}

// canceler is a standard error whose first write cancels.
type canceler struct {
	strings.Builder
	cancel func()
}

func (c *canceler) Write(p []byte) (int, error) {
	c.cancel()
	return c.Builder.Write(p)
}

// TestRetryAdviceCanceled checks that a signal ends the wait, with the exit code of a refusal.
func TestRetryAdviceCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out strings.Builder
	errs := canceler{cancel: cancel}
	if code := run(ctx, []string{"push", restarting(t, nil), "hello"}, strings.NewReader(""), &out, &errs); code != exitRefused {
		t.Errorf("exit code %d, want %d; standard error:\n%s", code, exitRefused, errs.String())
	}
}
