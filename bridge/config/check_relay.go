package config

import (
	"reflect"
	"slices"

	"github.com/zwsbridge/zwsbridge/bridge/internal/rights"
	"github.com/zwsbridge/zwsbridge/zap"
)

// withoutRelay are the keys that have no effect on a relay, and why. They are faults: their
// author expects something that will not happen.
var withoutRelay = []struct{ key, why string }{
	{"bind", "a relay has one backend for each client: want connect"},
	{"bind_domain", "a relay has no bind"},
	{"insecure_null", "a relay has no bind"},
	{"bind_allow", "a relay has no bind"},
	{"peer_ids", "a relay has no bind"},
	{"later_frames", "a relay does not read frames"},
	{"envelope", "a relay has no bind"},
	{"zmtp2", "the client logs in at the backend itself, and ZMTP 2.0 has no login"},
	{"mechanism", "the client logs in at the backend itself and chooses the mechanism"},
	{"credentials", "the client logs in at the backend itself"},
	{"username", "the client logs in at the backend itself"},
	{"password_file", "the client logs in at the backend itself"},
	{"server_key", "the client logs in at the backend itself and has the key"},
	{"cert", "the client logs in at the backend itself"},
	{"ready", "the client gets READY from the backend"},
	{"server_keys", "the client logs in at the backend itself and has the key"},
	{"insecure_announced_keys", "the client logs in at the backend itself and has the key"},
	{"reconnect", "a lost connection ends the session, and the client logs in again itself"},
	{"flush", "a relay collects no messages"},
	{"share", "the encryption between a client and its backend cannot be shared"},
	{"routing_id", "the client sends its routing id to the backend itself"},
	{"stamp", "a relay cannot add frames to messages that it cannot read"},
	{"on_wide", "a relay cannot read subscriptions"},
}

// relay checks a route whose clients log in at the backend themselves.
func (c *checker) relay(key string, r *Route) {
	if !r.Relay {
		return
	}
	without := defaultRoute()
	without.Relay, without.Socket = true, r.Socket
	c.completeRoute(&without)
	has, def := fields(reflect.ValueOf(r).Elem()), fields(reflect.ValueOf(without))
	for _, k := range withoutRelay {
		differs := !reflect.DeepEqual(has[k.key].Interface(), def[k.key].Interface())
		if c.isGiven(key+"."+k.key, differs) {
			c.fault(key+"."+k.key, "has no effect with relay = true: %s", k.why)
		}
	}
	c.relayConnect(key, r)
	if r.OnFull != OnFullBlock {
		c.fault(key+".on_full", `is %q: want "block", since a dropped frame breaks the encryption between client and backend`, r.OnFull)
	}
	mechanisms := key + ".client_mechanisms"
	if c.isGiven(mechanisms, true) && slices.Contains(r.ClientMechanisms, zap.CURVE) {
		c.fault(mechanisms, `holds "CURVE", and clients of a relay log in to the bridge by the HTTP request or by ZWSMUX1.0: want some of "NULL", "PLAIN", "BEARER" and "TLS"`)
	}
	c.relayRules(key, r)
}

// relayConnect checks the backend of a relay.
func (c *checker) relayConnect(key string, r *Route) {
	if len(r.Connect) > 1 {
		c.fault(key+".connect", "has %d endpoints: want one, since a handshake is with one backend", len(r.Connect))
	}
	for i, e := range r.Connect {
		if !e.ServerKey.IsZero() && r.ServerKey.IsZero() {
			c.fault(entry(key+".connect", i), "has a server_key, which has no effect with relay = true: the client has it")
		}
		if r.InsecurePlaintext && !LocalEndpoint(e.Endpoint) && !e.IsSource() {
			c.warn(key+".insecure_plaintext", "passwords and tokens of clients that log in with PLAIN or BEARER go to %s in the clear", e.Endpoint)
		}
	}
}

// relayRules checks that rules are for all topics: a relay cannot read topics.
func (c *checker) relayRules(key string, r *Route) {
	receive, send := rights.RelayNeeds(r.Socket)
	for i, rule := range r.Allow {
		p, err := rights.Compile([]rights.Rule{{User: "*", Subscribe: rule.Subscribe, Send: rule.Send}}, rights.Options{Separator: *r.Separator})
		if err != nil {
			continue // patterns has reported it
		}
		granted, err := p.For(rights.Subject{})
		if err != nil {
			continue
		}
		mayReceive, maySend := granted.Whole()
		of := entry(key+".allow", i)
		if receive && !mayReceive {
			c.fault(of, `is not for all topics, and a relay cannot restrict topics: want subscribe = [""]`)
		}
		if send && !maySend {
			c.fault(of, `is not for all topics, and a relay cannot restrict topics: want send = [""]`)
		}
	}
}
