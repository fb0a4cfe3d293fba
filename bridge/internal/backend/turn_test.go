package backend

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// routerSocket returns a ROUTER whose peers serve one client at a time.
func routerSocket(t testing.TB) *inbound {
	return newInbound(t, ListenOptions{Options: Options{SocketType: zmtp.ROUTER}, TurnTimeout: 3 * time.Second})
}

// write has a peer send messages; with net.Pipe it returns when they were read.
func write(t testing.TB, c *zmtp.Conn, msgs ...zmtp.Message) {
	t.Helper()
	if err := c.Write(msgs...); err != nil {
		t.Fatal(err)
	}
}

// reads reads everything that c is sent, until it ends.
func reads(c *zmtp.Conn) <-chan string {
	got := make(chan string, 1000)
	go func() {
		defer close(got)
		for {
			m, err := c.ReadMessage()
			if err != nil {
				return
			}
			got <- text(m)
		}
	}()
	return got
}

// nothing checks that nothing is in a channel.
func nothing[T any](t testing.TB, c <-chan T, why string) {
	t.Helper()
	select {
	case v, ok := <-c:
		if ok {
			t.Errorf("%s: got %v, want nothing", why, v)
		}
	default:
	}
}

// TestTurnAnswer checks that an answer reaches the client that has asked, although another one
// has written to the peer since.
func TestTurnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := routerSocket(t)
		defer s.close()
		h := s.connect("h1", controller("h1"))
		got := reads(h)
		bob, toBob := s.attach(AttachOptions{})
		mallory, toMallory := s.attach(AttachOptions{})
		send(t, bob, message("h1", "is the door shut?"))
		send(t, mallory, message("h1", "anything"), message("h1", "more"))
		want(t, <-got, "is the door shut?")
		synctest.Wait()
		nothing(t, got, "in bob's turn")
		if n := s.Stats().Waiting; n != 2 {
			t.Errorf("%d messages wait, want 2", n)
		}
		write(t, h, message("it is"))
		want(t, toBob.next(t), "h1|it is")
		want(t, <-got, "anything")
		want(t, <-got, "more")
		write(t, h, message("1"), message("2"))
		want(t, toMallory.next(t), "h1|1")
		want(t, toMallory.next(t), "h1|2")
		toBob.empty(t)
		write(t, h, message("fire")) // nobody's turn
		want(t, toBob.next(t), "h1|fire")
		want(t, toMallory.next(t), "h1|fire")
	})
}

// TestTurnEnds checks what ends a turn: silence since the last message either way, and the
// client's end together with its answer.
func TestTurnEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := routerSocket(t)
		defer s.close()
		h := s.connect("h1", controller("h1"))
		bob, toBob := s.attach(AttachOptions{})
		alice, toAlice := s.attach(AttachOptions{})
		send(t, bob, message("h1", "b1"), message("h1", "b2"))
		send(t, alice, message("h1", "a"))
		time.Sleep(time.Minute) // the peer reads nothing: its time has not begun
		got := reads(h)
		want(t, <-got, "b1")
		want(t, <-got, "b2")
		time.Sleep(2900 * time.Millisecond)
		write(t, h, message("B1"))
		want(t, toBob.next(t), "h1|B1")
		time.Sleep(2900 * time.Millisecond)
		nothing(t, got, "before the time-out")
		time.Sleep(200 * time.Millisecond)
		want(t, <-got, "a")
		bob.Close()
		alice.Close() // before its answer
		carol, toCarol := s.attach(AttachOptions{})
		send(t, carol, message("h1", "c"))
		synctest.Wait()
		nothing(t, got, "the answer to alice has not come")
		write(t, h, message("A"))
		want(t, <-got, "c")
		toCarol.empty(t)
		toAlice.empty(t)
		if n := s.Stats().Unroutable; n != 1 {
			t.Errorf("%d dropped, want alice's answer", n)
		}
		carol.Close() // and h1 does not answer
		dave, toDave := s.attach(AttachOptions{})
		send(t, dave, message("h1", "d"))
		time.Sleep(2900 * time.Millisecond)
		nothing(t, got, "before the time-out")
		time.Sleep(200 * time.Millisecond)
		want(t, <-got, "d")
		write(t, h, message("D"))
		want(t, toDave.next(t), "h1|D")
	})
}

// TestTurnRoundRobin checks that waiting clients are served in turn, each with all that it has
// waiting, and that what a client has sent before it left is still sent.
func TestTurnRoundRobin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := routerSocket(t)
		defer s.close()
		h := s.connect("h1", controller("h1"))
		got := reads(h)
		one, _ := s.attach(AttachOptions{})
		two, _ := s.attach(AttachOptions{})
		three, _ := s.attach(AttachOptions{})
		four, _ := s.attach(AttachOptions{})
		send(t, one, message("h1", "1"))
		send(t, two, message("h1", "2a"))
		send(t, three, message("h1", "3a"))
		send(t, one, message("h1", "1b"))
		send(t, two, message("h1", "2b"))
		send(t, four, message("h1", "4a"))
		send(t, three, message("h1", "3b"))
		three.Close()
		four.Close()
		var order []string
		for range 7 {
			select {
			case m := <-got:
				order = append(order, m)
			case <-time.After(time.Second):
				t.Fatalf("stuck after %v", order)
			}
			write(t, h, message("answer"))
		}
		if fmt.Sprint(order) != "[1 2a 2b 1b 3a 3b 4a]" {
			t.Errorf("order %v", order)
		}
	})
}

// TestTurnBounds checks that one client has at most the high-water mark waiting, and that this
// takes nothing from another.
func TestTurnBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ListenOptions{Options: Options{SocketType: zmtp.ROUTER, HighWaterMark: 5}}
		s := newInbound(t, o)
		defer s.close()
		h := s.connect("h1", controller("h1"))
		got := reads(h)
		bob, _ := s.attach(AttachOptions{})
		mallory, _ := s.attach(AttachOptions{})
		alice, _ := s.attach(AttachOptions{})
		send(t, bob, message("h1", "b"))
		want(t, <-got, "b")
		for i := range 20 {
			send(t, mallory, message("h1", fmt.Sprint("m", i)))
		}
		send(t, alice, message("h1", "a"))
		if st := s.Stats(); st.Overflow != 15 || st.Waiting != 6 || s.Status()[0].Waiting != 6 {
			t.Errorf("%+v, want 15 dropped and 6 waiting", st)
		}
		write(t, h, message("B"))
		for i := range 5 {
			want(t, <-got, fmt.Sprint("m", i))
			write(t, h, message("M"))
		}
		want(t, <-got, "a")
		h.Close()
		synctest.Wait()
		send(t, alice, message("h1", "gone"))
		if n := s.Stats().Unroutable; n != 1 {
			t.Errorf("%d unroutable, want 1", n)
		}
	})
}

// TestTurnPeerGone checks that what waits for a peer that leaves is counted.
func TestTurnPeerGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := routerSocket(t)
		defer s.close()
		h := s.connect("h1", controller("h1"))
		bob, _ := s.attach(AttachOptions{})
		alice, _ := s.attach(AttachOptions{})
		send(t, bob, message("h1", "1"))
		synctest.Wait() // it is being written
		send(t, bob, message("h1", "2"))
		send(t, alice, message("h1", "3"), message("h1", "4"))
		h.Close()
		synctest.Wait()
		if st := s.Stats(); st.Unroutable != 4 || st.Queued != 0 || st.Waiting != 0 {
			t.Errorf("%+v, want 4 unroutable and none waiting", st)
		}
	})
}
