package config

import (
	"net"
	"net/url"
	"regexp"
	"slices"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

var (
	stores     = []string{StoreMemory, StoreFile, StoreNATS}
	lastValues = []string{LastValueOff, LastValueAsk, LastValueAlways}
)

// history checks where messages are kept.
func (c *checker) history() {
	h := &c.History
	if !c.oneOf("history.store", h.Store, stores) {
		return
	}
	for _, key := range []string{"history.dir", "history.sync"} {
		if h.Store != StoreFile && c.given[key] {
			c.warn(key, `has no effect without store = "file"`)
		}
	}
	if h.Store == StoreFile {
		c.required("history.dir", string(h.Dir), `store = "file"`)
		c.makeable("history.dir", h.Dir)
	}
	if h.Store == StoreNATS {
		c.historyNATS()
	} else if c.given["history.nats"] {
		c.warn("history.nats", `has no effect without store = "nats"`)
	}
}

// natsName is what the names of streams, buckets and subjects can begin with.
var natsName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// historyNATS checks how bridges that share histories reach each other.
func (c *checker) historyNATS() {
	n, key := &c.History.NATS, "history.nats"
	if len(n.Servers) == 0 {
		c.fault(key+".servers", `is empty: want NATS servers like ["nats://127.0.0.1:4222"]`)
	}
	for i, s := range n.Servers {
		c.natsServer(entry(key+".servers", i), s)
	}
	if !natsName.MatchString(n.Name) {
		c.fault(key+".name", "is %q: want up to 64 letters, digits, - and _", n.Name)
	}
	if n.Replicas < 1 || n.Replicas > 5 {
		c.fault(key+".replicas", "is %d: want 1 to 5, and a server for each", n.Replicas)
	}
	if n.Lease < time.Second || n.Lease > 10*time.Minute {
		c.fault(key+".lease", "is %v: want 1s to 10m", n.Lease)
	}
	switch {
	case n.Credentials != "" && (n.User != "" || n.PasswordFile != ""):
		c.fault(key+".credentials", "and user are two ways to log in: want one")
	case (n.User == "") != (n.PasswordFile == ""):
		c.fault(key, "has only one of user and password_file: want both or neither")
	}
	c.secretFile(key+".credentials", n.Credentials)
	c.secretFile(key+".password_file", n.PasswordFile)
	c.clientTLS(key, n.CA, n.Cert, n.Key)
}

// natsServer checks the URL of a server.
func (c *checker) natsServer(key, text string) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
		c.fault(key, `is %q: want a URL like "nats://127.0.0.1:4222" or "tls://nats.lan:4222"`, text)
		return
	}
	if u.User != nil {
		c.fault(key, "has a password: want it in user and password_file, or in credentials")
	}
	n := &c.History.NATS
	if secure := u.Scheme == "tls" || u.Scheme == "wss" || n.CA != "" || n.Cert != ""; !secure && !isLoopback(net.JoinHostPort(u.Hostname(), "0")) {
		c.warn(key, "everybody on the way to %s can read and change what is kept: want tls://", u.Hostname())
	}
}

// routeHistory checks what a route keeps.
func (c *checker) routeHistory(key string, r *Route) {
	h, of := &r.History, key+".history"
	if !h.Kept() {
		if c.given[of] && !c.hasFault(of) {
			c.fault(of, `has no topics: want the prefixes that are kept, like ["house/"]; [""] keeps everything`)
		}
		if r.OnFull == OnFullReplay {
			c.fault(key+".on_full", `is "replay", which needs a [route.history] table to replay from`)
		}
		return
	}
	if r.Share == ShareNone {
		c.fault(of, `needs one connection for all clients: want no share = "none"`)
	} else if !r.Shared() || r.Socket != zmtp.SUB && r.Socket != zmtp.XSUB {
		c.fault(of, `needs socket "SUB" or "XSUB" with one login for all clients: credentials = "static", without placeholders`)
	}
	for i, topic := range h.Topics {
		if len(topic) > int(c.Server.MaxTopic) {
			c.fault(entry(of+".topics", i), "has %d bytes: server.max_topic permits %d", len(topic), c.Server.MaxTopic)
		}
	}
	c.oneOf(of+".last_value", h.LastValue, lastValues)
	c.atLeast(of+".max_bytes", int64(h.MaxBytes), 1<<10)
	c.atLeast(of+".max_last_values", int64(h.MaxLastValues), 1)
	c.userQueue(of, r)
}

// userQueue checks the queues of a route with a history.
func (c *checker) userQueue(of string, r *Route) {
	h := &r.History
	c.atLeast(of+".max_queues_per_user", int64(h.MaxQueuesPerUser), 1)
	if h.Queue == "" || !c.oneOf(of+".queue", h.Queue, []string{"", QueueUser}) {
		return
	}
	for _, m := range r.ClientMechanisms {
		if m == zap.NULL {
			c.fault(of+".queue", `is "user", and client_mechanisms has "NULL": an anonymous client has no user whose queue it could get; want no queue, or no "NULL"`)
		}
	}
	if age := *h.MaxAge; age > 0 && (h.QueueAge == 0 || age < h.QueueAge) {
		c.warn(of+".max_age", "is %v, and queues live %v: a client that comes back later has lost what is older", age, h.QueueAge)
	}
}
