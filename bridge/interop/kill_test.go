//go:build interop

package interop

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// killedConfig is a bridge that keeps little, so that old messages are deleted all the time, and
// whose clients often fall behind.
const killedConfig = `
[server]
listen = "127.0.0.1:0"
tls = "off"
handshake_timeout = "1m"
[zap]
timeout = "1m"
chain = [ { authn = "users" } ]
[auth.users]
type = "htpasswd"
file = "users.htpasswd"
[history]
store = "file"
dir = "history"
sync = %q
[[route]]
path = "/kept"
socket = "SUB"
connect = [%q]
connect_timeout = "1m"
high_water_mark = 20
on_full = "replay"
allow = [ { user = "*", subscribe = ["#"] } ]
[route.history]
topics = [""]
max_bytes = "%dKiB"
max_age = "1h"
queue = "user"
`

// TestKillBridge kills the bridge again and again while a PUB of libzmq publishes numbered messages,
// and restarts it. Each client receives, live and replayed together, what was published between its
// first and its last message, except where it was told that something is missing; and nobody has
// received what the bridge did not store.
func TestKillBridge(t *testing.T) { killLoops(t, 10) }

// TestKillBridgeSoak is TestKillBridge for longer. It runs only with ZWSBRIDGE_SOAK=1.
func TestKillBridgeSoak(t *testing.T) {
	if os.Getenv("ZWSBRIDGE_SOAK") == "" {
		t.Skip("takes long; run `make soak`")
	}
	killLoops(t, 100)
}

func killLoops(t *testing.T, loops int) {
	need(t, "python3-zmq")
	for _, sync := range []string{"0s", "1s"} {
		t.Run("sync="+sync, func(t *testing.T) {
			h := newHome(t)
			h.cheapUsers("ann", "bob", "eve")
			publisher := start(t, "numbered.py").bind(t, "XPUB", nil)
			h.write("bridge.toml", fmt.Sprintf(killedConfig, sync, publisher.endpoint, 1024+loops*64))
			binary := h.build()
			stored := &storedNumbers{t: t}
			followers := []*follower{
				{name: "resumes", user: "ann"},
				{name: "resumes over a Mux", user: "ann", overMux: true},
				{name: "comes and goes", user: "eve", restless: true},
				{name: "has a queue", user: "ann", queue: new(string)},
				{name: "has a queue over a Mux", user: "eve", overMux: true, queue: new(string)},
				{name: "knows nothing of its queue", user: "bob", plain: true},
			}
			var pages []openedPage
			for life := range loops {
				p := h.run(binary)
				l := newLife(t, p, 1000+rand.Int64N(12_000))
				stored.add(readStored(t, l.url))
				for _, f := range followers {
					f.check(t, stored)
				}
				for _, f := range followers {
					if f.restless && life%5 == 4 || f.queue != nil && life == 0 {
						continue
					}
					l.running.Go(func() { f.follow(l) })
				}
				l.running.Go(func() { pages = l.openPages(pages) })
				if life == 0 {
					l.end(p.stop) // the queue of a client that cannot be told about it is stored
				} else {
					l.end(p.kill)
				}
			}
			p := h.run(binary)
			stored.add(readStored(t, "ws://"+p.address+"/kept"))
			for _, f := range followers {
				f.check(t, stored)
				t.Logf("a client that %s: %+v", f.name, f.count)
				if f.count.messages < 50*loops || f.alwaysThere() && f.count.missing > loops/4 {
					t.Errorf("a client that %s: %+v", f.name, f.count)
				}
			}
			if t.Logf("%d pages were opened, %d messages kept", len(pages), len(stored.all)); len(pages) == 0 {
				t.Error("no page was opened long enough")
			}
			for _, page := range pages {
				page.check(t, stored)
			}
			p.stop()
		})
	}
}

// cheapUsers replaces the users by those, with hashes that are quick to verify.
func (h *home) cheapUsers(names ...string) {
	h.t.Helper()
	var text []byte
	for _, name := range names {
		hash, err := bcrypt.GenerateFromPassword([]byte(secrets["alice"]), bcrypt.MinCost)
		if err != nil {
			h.t.Fatal(err)
		}
		text = fmt.Appendf(text, "%s:%s\n", name, hash)
	}
	h.write("users.htpasswd", string(text))
}

// topicOf returns the topic of a message of numbered.py.
func topicOf(number uint64) string {
	if number%97 == 0 {
		return fmt.Sprintf("rare/%d", number/97%200)
	}
	return fmt.Sprintf("often/%d", number%40)
}

// numberOf checks a message of numbered.py and returns its number.
func numberOf(m zmtp.Message) (uint64, error) {
	if len(m) != 3 {
		return 0, fmt.Errorf("%d frames: %q", len(m), m)
	}
	n, err := strconv.ParseUint(string(m[1]), 10, 64)
	if err != nil || string(m[0]) != topicOf(n) {
		return 0, fmt.Errorf("message %q %q", m[0], m[1])
	}
	return n, nil
}

// readStored returns the numbers of all messages that the bridge keeps.
func readStored(t *testing.T, url string) (all []uint64) {
	t.Helper()
	live := false
	o := dialOptions("ann")
	o.History = true
	o.Notify = func(n zws.Notification) { live = live || n.Live }
	c, err := zws.Dial(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Resume(t.Context(), "", []byte("")); err != nil {
		t.Fatal(err)
	}
	for !live {
		m, err := c.Recv(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n, err := numberOf(m)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	return all
}

func dialOptions(user string) zws.DialOptions {
	return zws.DialOptions{
		SocketType:       zmtp.SUB,
		Security:         zmtp.Plain{User: user, Password: secrets["alice"]},
		HandshakeTimeout: patience,
	}
}

// storedNumbers is everything that the bridge has ever stored, in ascending order.
type storedNumbers struct {
	t      *testing.T
	all    []uint64
	oldest uint64 // that was kept at the last restart
}

// index returns the place of a number that must have been stored.
func (s *storedNumbers) index(number uint64) int {
	s.t.Helper()
	i, found := slices.BinarySearch(s.all, number)
	if !found {
		s.t.Fatalf("%d was delivered and is not stored", number)
	}
	return i
}

// add adds what a bridge has stored that was restarted. Only at a restart can numbers be missing.
func (s *storedNumbers) add(kept []uint64) {
	s.t.Helper()
	if len(kept) == 0 {
		if len(s.all) > 0 {
			s.t.Fatal("nothing is kept any more")
		}
		return
	}
	s.oldest = kept[0]
	for i := 1; i < len(kept); i++ {
		if kept[i] <= kept[i-1] {
			s.t.Fatalf("%d is kept after %d", kept[i], kept[i-1])
		}
	}
	from := 0
	if len(s.all) > 0 {
		newest := s.all[len(s.all)-1]
		i, found := slices.BinarySearch(kept, newest)
		if !found {
			s.t.Fatalf("%d is not kept, which is the newest that a killed bridge had stored; kept are %d to %d", newest, kept[0], kept[len(kept)-1])
		}
		if back := i + 1; back > len(s.all) || !slices.Equal(kept[:back], s.all[len(s.all)-back:]) {
			s.t.Fatalf("of %d messages up to %d, which were stored, others are kept now", back, newest)
		}
		from = i + 1
	}
	holes := 0
	for i := max(from, 1); i < len(kept); i++ {
		if kept[i] != kept[i-1]+1 {
			holes++
		}
	}
	if holes > 1 {
		s.t.Fatalf("%d holes in what is kept since the last restart", holes)
	}
	s.all = append(s.all, kept[from:]...)
}
