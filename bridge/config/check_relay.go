package config

import (
	"slices"

	"github.com/zwsbridge/zwsbridge/bridge/internal/rights"
	"github.com/zwsbridge/zwsbridge/zap"
)

// withoutRelay are the keys that mean nothing on a relay, by why: who wrote them expects
// something that there will not be.
var withoutRelay = []struct{ key, why string }{
	{"bind", "a relay has one backend for each client: want connect"},
	{"bind_domain", "a relay has no bind"},
	{"insecure_null", "a relay has no bind"},
	{"mechanism", "the client logs in at the backend itself, by the mechanism that it chooses"},
	{"credentials", "the client logs in at the backend itself"},
	{"username", "the client logs in at the backend itself"},
	{"password_file", "the client logs in at the backend itself"},
	{"server_key", "the client logs in at the backend itself, and has the key"},
	{"cert", "the client logs in at the backend itself"},
	{"ready", "the client hears READY from the backend"},
	{"flush", "a relay collects nothing"},
	{"share", "what client and backend agree on is theirs alone"},
	{"routing_id", "the client tells the backend its routing id itself"},
	{"stamp", "a relay cannot add to messages that it cannot read"},
	{"on_wide", "a relay cannot read subscriptions"},
}

// relay checks a route on which clients log in at the backend themselves.
func (c *checker) relay(key string, r *Route) {
	if !r.Relay {
		return
	}
	for _, k := range withoutRelay {
		if c.given[key+"."+k.key] {
			c.fault(key+"."+k.key, "has no effect with relay = true: %s", k.why)
		}
	}
	if len(r.Connect) > 1 {
		c.fault(key+".connect", "has %d endpoints: a relay has one, since a handshake is with one backend", len(r.Connect))
	}
	for i, e := range r.Connect {
		if !e.ServerKey.IsZero() && r.ServerKey.IsZero() {
			c.fault(entry(key+".connect", i), "has a server_key, which has no effect with relay = true: the client has it")
		}
		if r.InsecurePlaintext && !LocalEndpoint(e.Endpoint) {
			c.warn(key+".insecure_plaintext", "passwords and tokens of clients go to %s in the clear, if they log in there with PLAIN or BEARER", e.Endpoint)
		}
	}
	if r.OnFull != OnFullBlock {
		c.fault(key+".on_full", `is %q: want "block", since a frame that is dropped breaks what client and backend have agreed on`, r.OnFull)
	}
	if mechanisms := key + ".client_mechanisms"; c.given[mechanisms] && slices.Contains(r.ClientMechanisms, zap.CURVE) {
		c.fault(mechanisms, `holds "CURVE", and clients of a relay log in here by the HTTP request or by ZWSMUX1.0: want some of "NULL", "PLAIN", "BEARER" and "TLS"`)
	}
	c.relayRules(key, r)
}

// relayRules wants rules for all topics: a relay cannot read any.
func (c *checker) relayRules(key string, r *Route) {
	receive, send := rights.RelayNeeds(r.Socket)
	for i, rule := range r.Allow {
		p, err := rights.Compile([]rights.Rule{{User: "*", Subscribe: rule.Subscribe, Send: rule.Send}}, rights.Options{Separator: r.Separator})
		if err != nil {
			continue // patterns says what is wrong
		}
		granted, err := p.For(rights.Subject{})
		if err != nil {
			continue
		}
		mayReceive, maySend := granted.Whole()
		of := entry(key+".allow", i)
		if receive && !mayReceive {
			c.fault(of, `is not for all topics, and a relay cannot keep rights per topic: want subscribe = [""]`)
		}
		if send && !maySend {
			c.fault(of, `is not for all topics, and a relay cannot keep rights per topic: want send = [""]`)
		}
	}
}
