package config

import (
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// history checks where messages are kept.
func (c *checker) history() {
	h := &c.History
	if !c.oneOf("history.store", h.Store, []string{StoreMemory, StoreFile}) {
		return
	}
	for _, key := range []string{"history.dir", "history.sync"} {
		if h.Store != StoreFile && c.given[key] {
			c.warn(key, `has no effect without store = "file"`)
		}
	}
	if h.Store == StoreFile {
		c.required("history.dir", string(h.Dir), `store = "file"`)
	}
}

// routeHistory checks what a route keeps.
func (c *checker) routeHistory(key string, r *Route) {
	h, of := &r.History, key+".history"
	if !h.Kept() {
		if c.given[of] {
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
	c.oneOf(of+".last_value", h.LastValue, []string{LastValueOff, LastValueAsk, LastValueAlways})
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
	for i, m := range r.ClientMechanisms {
		if m == zap.NULL {
			c.fault(entry(of+".queue", i), `is "user", and client_mechanisms has "NULL": an anonymous client has no user whose queue it could get`)
		}
	}
	if age := *h.MaxAge; age > 0 && (h.QueueAge == 0 || age < h.QueueAge) {
		c.warn(of+".max_age", "is %v, and queues live %v: a client that comes back later has lost what is older", age, h.QueueAge)
	}
}
