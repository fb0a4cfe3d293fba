package zws

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestClientAcknowledges: a client with a queue acknowledges what the application is done with,
// soon and in batches, and nothing else.
func TestClientAcknowledges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent []string
		h := &clientHistory{kept: true, queue: true}
		h.send = func(_ context.Context, r *HistoryRequest) error {
			sent = append(sent, string(r.At))
			return nil
		}
		expect := func(want ...string) {
			t.Helper()
			time.Sleep(2 * ackDelay) // of the bubble's clock
			synctest.Wait()
			if fmt.Sprint(sent) != fmt.Sprint(want) {
				t.Fatalf("acknowledged %q, want %q", sent, want)
			}
			sent = nil
		}
		receive := func(at string) {
			h.next()
			h.take(mark{at: []byte(at)})
		}
		h.next()
		expect() // nothing was received
		h.take(mark{at: []byte("1")})
		expect() // the application may still be busy with it
		h.next()
		expect("1")
		h.next()
		expect()
		receive("2")
		receive("3")
		receive("") // without a position
		h.next()
		expect("3")
		for i := range 1000 {
			receive(fmt.Sprint("m", i))
			synctest.Wait()
		}
		expect("m255", "m512", "m769", "m998")
		if err := h.Ack(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.next()
		if err := h.Ack(t.Context()); err != nil {
			t.Fatal(err)
		}
		expect("m999")
		receive("4")
		h.next()
		h.Ack(t.Context())
		expect("4")
		receive("5")
		h.next()
		h.reach([]byte("6")) // live, while the application waits
		expect("6")
		h.reach([]byte("6"))
		expect()
		receive("7")
		h.next()
		h.stop()
		expect()

		h.queue = false // history without a queue
		receive("8")
		h.next()
		h.reach([]byte("9"))
		h.Ack(t.Context())
		expect()
	})
}
