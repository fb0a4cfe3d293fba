package backend

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// receives lets a client have what begins with one of prefixes.
func receives(prefixes ...string) AttachOptions {
	return AttachOptions{MayReceive: func(m zmtp.Message) bool {
		for _, p := range prefixes {
			if bytes.HasPrefix(m[0], []byte(p)) {
				return true
			}
		}
		return false
	}}
}

func puller(t testing.TB, highWaterMark int) *inbound {
	return newInbound(t, ListenOptions{Options: Options{SocketType: zmtp.PULL, HighWaterMark: highWaterMark}})
}

// TestPullRights checks that each job reaches a client that may have it, and none another one.
func TestPullRights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := puller(t, 0)
		defer s.close()
		h := s.connect("h1", zmtp.Options{SocketType: zmtp.PUSH})
		_, toMallory := s.attach(receives("mallory/"))
		_, toAlice := s.attach(receives("alice/"))
		_, toEve := s.attach(receives())
		for i := range 20 {
			write(t, h, message(fmt.Sprint("alice/", i), "job"))
		}
		write(t, h, message("mallory/x"), message("nobody/1"), message("nobody/2"))
		for i := range 20 {
			want(t, toAlice.next(t), fmt.Sprintf("alice/%d|job", i))
		}
		want(t, toMallory.next(t), "mallory/x")
		synctest.Wait()
		toEve.empty(t)
		if st := s.Stats(); st.Waiting != 2 || s.Status()[0].Waiting != 2 {
			t.Errorf("%+v, want 2 waiting", st)
		}
		h.Close() // what it has sent stays
		_, toAll := s.attach(AttachOptions{})
		want(t, toAll.next(t), "nobody/1")
		want(t, toAll.next(t), "nobody/2")
		toAlice.empty(t)
		toMallory.empty(t)
	})
}

// TestPullBound checks that a peer whose jobs nobody may have waits at the high-water mark, and
// that this delays no peer of another user, but one of the same user.
func TestPullBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := puller(t, 5)
		defer s.close()
		push := zmtp.Options{SocketType: zmtp.PUSH}
		h1, same, h2 := s.connect("h1", push), s.connect("h1", push), s.connect("h2", push)
		_, toMallory := s.attach(receives("mallory/"))
		var sent atomic.Int32
		go func() {
			for i := range 10 {
				if h1.Write(message(fmt.Sprint("alice/", i))) != nil {
					return
				}
				sent.Add(1)
			}
		}()
		time.Sleep(time.Minute)
		if sent.Load() != 6 || s.Stats().Waiting != 5 { // the sixth is in the reader's hands
			t.Errorf("%d jobs taken, %d waiting, want 6 and 5", sent.Load(), s.Stats().Waiting)
		}
		write(t, same, message("mallory/same"))
		write(t, h2, message("mallory/other"))
		want(t, toMallory.next(t), "mallory/other")
		synctest.Wait()
		toMallory.empty(t)
		_, toAlice := s.attach(receives("alice/"))
		for i := range 10 {
			want(t, toAlice.next(t), fmt.Sprint("alice/", i))
		}
		want(t, toMallory.next(t), "mallory/same")
	})
}

// TestPullRecheck checks that jobs that wait are offered again when the rights have changed,
// even while the client is being asked.
func TestPullRecheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := puller(t, 0)
		defer s.close()
		h := s.connect("h1", zmtp.Options{SocketType: zmtp.PUSH})
		var may atomic.Bool
		alice, toAlice := s.attach(AttachOptions{MayReceive: func(zmtp.Message) bool {
			answer := may.Load()
			time.Sleep(time.Second)
			return answer
		}})
		write(t, h, message("1"), message("2"))
		time.Sleep(500 * time.Millisecond)
		may.Store(true)
		alice.Recheck()
		want(t, toAlice.next(t), "1")
		want(t, toAlice.next(t), "2")
		may.Store(false)
		alice.Recheck()
		write(t, h, message("3"))
		time.Sleep(time.Minute)
		toAlice.empty(t)
		may.Store(true)
		alice.Recheck()
		want(t, toAlice.next(t), "3")
		alice.Close()
		alice.Recheck()
	})
}

// TestPullFair checks that clients that may have the same jobs share them.
func TestPullFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := puller(t, 0)
		defer s.close()
		h := s.connect("h1", zmtp.Options{SocketType: zmtp.PUSH})
		_, toEve := s.attach(receives())
		var boxes []*inbox
		for range 3 {
			_, in := s.attach(receives("job/"))
			boxes = append(boxes, in)
		}
		synctest.Wait() // all are idle
		for i := range 30 {
			write(t, h, message(fmt.Sprint("job/", i)))
			synctest.Wait()
		}
		for i, in := range boxes {
			if n := len(in.arrived); n != 10 {
				t.Errorf("client %d: %d of 30 jobs, want 10", i, n)
			}
		}
		toEve.empty(t)
	})
}

// TestPullGivenBackToOther checks that a job that a client has not taken goes to another that
// may have it, although that one has looked at later jobs already.
func TestPullGivenBackToOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := puller(t, 0)
		defer s.close()
		h := s.connect("h1", zmtp.Options{SocketType: zmtp.PUSH})
		r := newStuck()
		st, err := s.Attach(leaver{r}, AttachOptions{})
		if err != nil {
			t.Fatal(err)
		}
		write(t, h, message("alice/1"))
		synctest.Wait()
		_, toAlice := s.attach(receives("alice/"))
		write(t, h, message("mallory/2"), message("alice/3"))
		want(t, toAlice.next(t), "alice/3")
		close(r.free)
		st.Close()
		want(t, toAlice.next(t), "alice/1")
		synctest.Wait()
		if n := s.Stats().Waiting; n != 1 {
			t.Errorf("%d wait, want 1", n)
		}
	})
}

// leaver is a receiver that is stuck in its first message and does not take it.
type leaver struct{ r *stuck }

func (l leaver) Message(zmtp.Message) error {
	<-l.r.free
	return ErrClosed
}

func (leaver) Discarded(zmtp.Message) {}

func (leaver) Flush() {}
