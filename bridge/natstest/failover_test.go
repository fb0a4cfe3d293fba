package natstest

import (
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zws"
)

// rounds returns how often a test ends something: 100 times in make soak.
func rounds(few int) int {
	if os.Getenv("ZWSBRIDGE_SOAK") != "" {
		return 100
	}
	return few
}

// stream publishes messages of house/t, every few milliseconds, until the returned function is
// called.
func (p *press) stream() (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-end:
				return
			case <-time.After(2 * time.Millisecond):
				p.publish("house/t", 1)
			}
		}
	}()
	return func() {
		close(end)
		<-ended
	}
}

// until takes messages up to the one with that number or a later one, and adds them to list.
func (c *client) until(number int, list []received) []received {
	c.t.Helper()
	for len(list) == 0 || list[len(list)-1].number < number {
		n := c.next()
		if len(list) > 0 && n <= list[len(list)-1].number {
			c.t.Fatalf("got message %d after %d", n, list[len(list)-1].number)
		}
		list = append(list, received{number: n, at: sequenceOf(c.at)})
	}
	return list
}

// some takes n more messages.
func (c *client) some(n int, list []received) []received {
	c.t.Helper()
	for range n {
		last := 0
		if len(list) > 0 {
			last = list[len(list)-1].number
		}
		list = c.until(last+1, list)
	}
	return list
}

// sequenceOf returns the part of a position that does not depend on the generation, which is that of
// the log when the position is given.
func sequenceOf(position string) string {
	b, err := base64.RawURLEncoding.DecodeString(position)
	if err != nil || len(b) != 16 {
		return position
	}
	return hex.EncodeToString(b[8:])
}

// same reports a difference between what two clients have received of the same topics.
func same(t *testing.T, got, want []received) {
	t.Helper()
	if !slices.Equal(got, want) {
		n := 0
		for n < min(len(got), len(want)) && got[n] == want[n] {
			n++
		}
		t.Errorf("%d messages, want %d; they differ from the one at %d on", len(got), len(want), n)
	}
}

// TestKilledLeader: a client of the other bridge gets what follows from that one; one that was
// connected to the killed bridge resumes there and has the same as if it had always been there.
func TestKilledLeader(t *testing.T) {
	n, p := startNATS(t), startPress(t)
	leader, follower := startTwo(t, n, p, "")
	p.waitIngested(leader)
	for range rounds(3) {
		stop := p.stream()
		moving, staying := dial(t, leader, "", "house/t"), dial(t, follower, "", "house/t")
		kept := staying.some(20, nil)
		moved := moving.some(1, nil)
		first := moving.at
		moved = moving.until(kept[len(kept)-1].number, moved)
		killed := time.Now()
		leader.kill()
		for { // what was on its way to it
			number, err := moving.tryNext(patience)
			if err != nil {
				break
			}
			moved = append(moved, received{number: number, at: sequenceOf(moving.at)})
		}
		again := dial(t, follower, moving.at, "house/t")
		eventually(t, "the other leads", follower.leads)
		kept = staying.until(moved[len(moved)-1].number+100, kept)
		t.Logf("the other bridge leads, and its client has 100 messages more, %v after the kill", time.Since(killed))
		stop()
		moved = again.until(kept[len(kept)-1].number, moved)
		from := slices.IndexFunc(moved, func(r received) bool { return r.number == kept[0].number })
		if from < 0 {
			from = 0
			kept = kept[slices.IndexFunc(kept, func(r received) bool { return r.number == moved[0].number }):]
		}
		same(t, moved[from:], kept)
		if !again.resumed.Recovered {
			t.Error("recovered: false, want true")
		}
		late := dial(t, follower, first, "house/t")
		same(t, append(moved[:1:1], late.until(kept[len(kept)-1].number, nil)...)[from:], kept)
		if !late.resumed.Recovered || !late.resumed.Gap {
			t.Errorf("resumed from before the takeover: %+v, want recovered with a gap", *late.resumed)
		}
		staying.Close()
		again.Close()
		late.Close()
		leader, follower = follower, startBridge(t, configuration(n, p, ""))
		eventually(t, "the new bridge knows the leader", func() bool { return follower.history().Leader == leader.history().Leader })
	}
}

// TestPausedLeader: a bridge that leads, is stopped for longer than the lease and goes on writes
// nothing any more, and its clients get what the others do.
func TestPausedLeader(t *testing.T) {
	n, p := startNATS(t), startPress(t)
	leader, follower := startTwo(t, n, p, "")
	p.waitIngested(leader)
	stop := p.stream()
	a, b := dial(t, leader, "", "house/t"), dial(t, follower, "", "house/t")
	before := b.some(20, nil)
	had := a.until(before[len(before)-1].number, nil)
	leader.signal(syscall.SIGSTOP)
	eventually(t, "the other leads", follower.leads)
	before = b.some(50, before)
	leader.signal(syscall.SIGCONT)
	eventually(t, "the paused one knows it", func() bool { return leader.history().Leader == follower.history().Leader })
	before = b.some(50, before)
	stop()
	had = a.until(before[len(before)-1].number, had)
	from := max(had[0].number, before[0].number)
	later := func(r received) bool { return r.number >= from }
	same(t, had[slices.IndexFunc(had, later):], before[slices.IndexFunc(before, later):])
}

// TestNATSRestarted: the server is killed and started again. Nothing is lost: the leader keeps what
// it reads meanwhile, and both bridges say that nothing is stored.
func TestNATSRestarted(t *testing.T) {
	n, p := startNATS(t), startPress(t)
	leader, follower := startTwo(t, n, p, "")
	p.waitIngested(leader)
	a, b := dial(t, leader, "", "house/t"), dial(t, follower, "", "house/t")
	at := ""
	for range rounds(3) {
		from := p.last + 1
		p.publish("house/t", 50)
		a.expect(from, p.last)
		at = a.at
		n.kill()
		p.publish("house/t", 50)
		eventually(t, "both say so", func() bool {
			return leader.history().State == "not stored" && follower.history().State == "not stored"
		})
		p.publish("house/t", 50)
		n.again()
		eventually(t, "both have NATS again", func() bool {
			return leader.history().State == "ok" && follower.history().State == "ok"
		})
		p.publish("house/t", 50)
		a.expect(from+50, p.last)
		b.expect(from, p.last)
		if a.at != b.at {
			t.Errorf("the positions are %s and %s", a.at, b.at)
		}
	}
	c := dial(t, follower, at, "house/t")
	c.expect(p.last-149, p.last)
	if !c.resumed.Recovered || c.resumed.Gap {
		t.Errorf("resumed: %+v, want recovered without a gap", *c.resumed)
	}
}

// TestBothAtOnce: of bridges that start at the same time one leads.
func TestBothAtOnce(t *testing.T) {
	n, p := startNATS(t), startPress(t)
	one := make(chan *bridgeProcess)
	go func() { one <- startBridge(t, configuration(n, p, "")) }()
	a, b := startBridge(t, configuration(n, p, "")), <-one
	eventually(t, "one leads", func() bool { return a.leads() || b.leads() })
	if !a.leads() {
		a, b = b, a
	}
	eventually(t, "both agree", func() bool { return a.history().Leader == b.history().Leader })
	p.waitIngested(a)
	c, d := dial(t, a, "", "house/t"), dial(t, b, "", "house/t")
	from := p.last + 1
	p.publish("house/t", 100)
	c.expect(from, p.last)
	d.expect(from, p.last)
}

// TestLostTail: NATS comes back without what it had acknowledged last, as after a power failure. Clients go
// on without doubles, also on the bridge that has read what is lost, and who resumes behind it is told.
func TestLostTail(t *testing.T) {
	n, p := startNATS(t), startPress(t)
	leader, follower := startTwo(t, n, p, "")
	p.waitIngested(leader)
	a, b := dial(t, leader, "", "house/t"), dial(t, follower, "", "house/t")
	publish := func() (position string) {
		t.Helper()
		from := p.last + 1
		p.publish("house/t", 10)
		a.expect(from, p.last)
		b.expect(from, p.last)
		return a.at
	}
	before := publish()
	n.kill()
	saved := filepath.Join(t.TempDir(), "saved")
	if err := os.CopyFS(saved, os.DirFS(n.dir)); err != nil {
		t.Fatal(err)
	}
	n.again()
	both := func(state string) {
		t.Helper()
		eventually(t, "both are "+state, func() bool {
			return (leader.history().State == "ok") == (state == "ok") && (follower.history().State == "ok") == (state == "ok")
		})
	}
	both("ok")
	lost := publish()
	n.kill()
	both("without NATS")
	if err := os.RemoveAll(n.dir); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(n.dir, os.DirFS(saved)); err != nil {
		t.Fatal(err)
	}
	n.again()
	both("ok")
	writer := leader
	eventually(t, "a bridge leads", func() bool {
		if follower.leads() {
			writer = follower
		}
		return writer.leads()
	})
	p.waitIngested(writer)
	p.publish("house/t", 1)
	same(t, b.until(p.last, nil), a.until(p.last, nil))
	third := startBridge(t, configuration(n, p, ""))
	eventually(t, "the third has read the stream", func() bool { return third.history().State == "ok" })
	for position, want := range map[string]zws.Resumed{before: {Recovered: true, Gap: true}, lost: {Gap: true}} {
		c := dial(t, third, position, "house/t")
		c.until(p.last, nil)
		if got := *c.resumed; got.Recovered != want.Recovered || got.Gap != want.Gap {
			t.Errorf("resumed: %+v, want %+v", got, want)
		}
	}
	if text := leader.log.String() + follower.log.String(); !strings.Contains(text, "the stream has lost messages that were delivered") {
		t.Error("no bridge has logged that messages are lost")
	}
}
