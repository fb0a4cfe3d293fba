package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// numbers is a Source of messages "house/N" with the position "pN", from one number to another.
type numbers struct{ next, end int }

func (n *numbers) Next(b *zws.Batch) {
	for ; n.next < n.end && !b.Full(); n.next++ {
		b.Message(zmtp.Message{fmt.Appendf(nil, "house/%d", n.next)}, fmt.Appendf(nil, "p%d", n.next))
	}
}

// historyServer is a PUB with a history if kept is set. It sends three messages to each client
// once that has subscribed, and asks the client to come back if there are to be more connections.
// What clients ask comes out of asked.
func historyServer(t *testing.T, kept bool, connections int32) (url string, asked chan string) {
	asked = make(chan string, 100)
	var number atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		login, err := zws.Accept(context.Background(), w, r, zws.Options{
			Handler: zap.HandlerFunc(func(context.Context, *zap.Request) (*zap.Reply, error) {
				return &zap.Reply{Status: zap.OK}, nil
			}),
			Domain: "test", Mechanisms: []zap.Mechanism{zap.NULL},
			Announce: zmtp.PUB, ClientTypes: []zmtp.SocketType{zmtp.SUB}, Untyped: zmtp.SUB, PlaintextAllowed: true,
		})
		if err != nil {
			return
		}
		queue := "no queue"
		if q := login.Login().Queue; q != nil {
			queue = "queue " + *q
		}
		asked <- queue
		n := number.Add(1)
		var channel *zws.Channel
		var once sync.Once
		start := func() { once.Do(func() { channel.Attach(&numbers{int(n-1) * 3, int(n) * 3}) }) }
		conn, err := login.Accept(zws.AcceptOptions{
			History: kept,
			Request: func(_ context.Context, r *zws.HistoryRequest) error {
				asked <- fmt.Sprintf("%d %q %q", r.Op, r.Topics, r.At)
				if r.Op == zws.HistoryAck && n < connections && string(r.At) == fmt.Sprint("p", n*3-1) {
					return &zws.CloseError{Code: zws.CodeGoingAway, Reason: "restarting", RetryAfter: time.Second}
				}
				if r.Op != zws.HistoryAck {
					start()
				}
				return nil
			},
		})
		if err != nil {
			return
		}
		channel = conn.Channel()
		for {
			m, err := channel.ReadMessage()
			if err != nil {
				return
			}
			asked <- fmt.Sprintf("%q", m[0])
			start()
		}
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http") + "/", asked
}

// expectAsked checks what clients have asked.
func expectAsked(t *testing.T, asked chan string, want ...string) {
	t.Helper()
	for _, w := range want {
		select {
		case got := <-asked:
			if got != w {
				t.Fatalf("the client asked %s, want %s", got, w)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("the client did not ask %s", w)
		}
	}
}

// runSub runs sub and checks what it prints.
func runSub(t *testing.T, wantOut, wantErr string, args ...string) {
	t.Helper()
	var out, errs strings.Builder
	if code := run(t.Context(), append([]string{"sub"}, args...), strings.NewReader(""), &out, &errs); code != exitSuccess || out.String() != wantOut || errs.String() != wantErr {
		t.Fatalf("exit code %d, output %q, standard error %q; want output %q, standard error %q", code, out.String(), errs.String(), wantOut, wantErr)
	}
}

// TestSubPositionFile: the position of one run is where the next one resumes.
func TestSubPositionFile(t *testing.T) {
	url, asked := historyServer(t, true, 1)
	file := filepath.Join(t.TempDir(), "position")
	runSub(t, "house/0\nhouse/1\n", "", url, "-s", "house/", "--last", "--position-file", file, "-n", "2")
	expectAsked(t, asked, "no queue", `3 ["house/"] ""`)
	if text, err := os.ReadFile(file); err != nil || string(text) != "cDE\n" {
		t.Fatalf("the file holds %q, %v", text, err)
	}
	runSub(t, "house/3\n", "", url, "-s", "house/", "--last", "--position-file", file, "-n", "1")
	expectAsked(t, asked, "no queue", `1 ["house/"] "p1"`)
	if text, err := os.ReadFile(file); err != nil || string(text) != "cDM\n" {
		t.Fatalf("the file holds %q, %v", text, err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(file), ".*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestSubQueue: a queue is named and acknowledged, also the last message.
func TestSubQueue(t *testing.T) {
	url, asked := historyServer(t, true, 1)
	runSub(t, "house/0\nhouse/1\n", "", url, "-s", "house/", "--queue", "mine", "-n", "2")
	expectAsked(t, asked, "queue mine", `"\x01house/"`, `2 [] "p1"`)
}

// TestSubQueueRestarted: after a reconnect the queue is named again, and not resumed.
func TestSubQueueRestarted(t *testing.T) {
	url, asked := historyServer(t, true, 2)
	var out, errs strings.Builder
	code := run(t.Context(), []string{"sub", url, "--queue", "", "-n", "4"}, strings.NewReader(""), &out, &errs)
	if code != exitSuccess || out.String() != "house/0\nhouse/1\nhouse/2\nhouse/3\n" {
		t.Fatalf("exit code %d, output %q, standard error %q", code, out.String(), errs.String())
	}
	expectAsked(t, asked, "queue ", `"\x01"`)
	for got := range asked { // acknowledgements of the first connection
		if got == "queue " {
			break
		}
	}
	expectAsked(t, asked, `"\x01"`, `2 [] "p3"`)
}

// TestSubNoHistory: without a history sub says so and subscribes.
func TestSubNoHistory(t *testing.T) {
	url, asked := historyServer(t, false, 1)
	file := filepath.Join(t.TempDir(), "position")
	if err := os.WriteFile(file, []byte("cDE\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	runSub(t, "house/0\n", "zwsbridge: this route keeps no history: what is missed is lost\n", url, "--position-file", file, "-n", "1")
	expectAsked(t, asked, "no queue", `"\x01"`)
	if text, _ := os.ReadFile(file); string(text) != "cDE\n" {
		t.Errorf("the file holds %q", text)
	}
}

// TestPositionFile: the file is written once per second, and at the end.
func TestPositionFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "position")
		expect := func(want string) {
			t.Helper()
			synctest.Wait()
			if got, err := readPosition(path); got != want || err != nil {
				t.Fatalf("the file holds %q, %v; want %q", got, err, want)
			}
		}
		p := &positionFile{path: path}
		p.set("1")
		expect("")
		time.Sleep(positionInterval)
		expect("1")
		for i := range 10 {
			p.set(fmt.Sprint("a", i))
		}
		expect("1")
		time.Sleep(positionInterval)
		expect("a9")
		p.set("b")
		if err := p.close(); err != nil {
			t.Fatal(err)
		}
		expect("b")
		p = &positionFile{path: filepath.Join(path, "no directory")}
		p.set("c")
		if err := p.close(); err == nil || p.failed() == nil {
			t.Error("no error")
		}
	})
}
