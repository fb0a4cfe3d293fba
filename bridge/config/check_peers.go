package config

import "github.com/zwsbridge/zwsbridge/zws/zmtp"

// peers checks what backends that connect may do.
func (c *checker) peers(key string, r *Route) {
	router := r.Socket == zmtp.ROUTER && len(r.Bind) > 0
	if c.oneOf(key+".envelope", r.Envelope, []string{EnvelopeNone, EnvelopeFrame}) && r.Envelope == EnvelopeFrame && !router {
		c.fault(key+".envelope", `is "frame" on a %s route%s: want "none", or socket = "ROUTER" with bind`, r.Socket, withoutBind(r))
	}
	switch {
	case !c.oneOf(key+".peer_ids", r.PeerIDs, []string{"", PeerIDsAny}) || r.PeerIDs == "":
	case !router:
		c.fault(key+".peer_ids", `is "any" on a %s route%s: want "", or socket = "ROUTER" with bind`, r.Socket, withoutBind(r))
	default:
		c.warn(key+".peer_ids", "every backend that can log in here can take any routing id, and with it the messages for the backend of that name")
	}
	c.laterFrames(key, r)
	switch {
	case len(r.Bind) == 0 && r.BindAllow != nil:
		c.fault(key+".bind_allow", "is only for routes with bind: want bind, or no bind_allow")
	case len(r.Bind) > 0 && r.BindAllow == nil && (publishes(r) || subscribes(r)):
		c.warn(key, "has no bind_allow: every backend that can log in here can %s", peerAbilities(r))
	case len(r.Bind) > 0:
		c.bindAllow(key, r)
	}
}

// laterFrames checks that frames which a backend takes for subscriptions pass only where the
// connection to it is the client's own.
func (c *checker) laterFrames(key string, r *Route) {
	key += ".later_frames"
	switch {
	case !c.oneOf(key, r.LaterFrames, []string{"", LaterFramesAny}) || r.LaterFrames == "":
	case r.Socket != zmtp.XSUB:
		c.fault(key, `is "any" on a %s route: only XSUB routes look at later frames`, r.Socket)
	case r.Credentials != CredentialsClient && r.Share != ShareNone:
		c.fault(key, `is "any", but clients share the connection to the backend: want credentials = "client" or share = "none"`)
	default:
		c.warn(key, "lets clients subscribe at a libzmq XPUB by later frames, which no rule of allow checks")
	}
}

// withoutBind ends the description of a route in a fault.
func withoutBind(r *Route) string {
	if len(r.Bind) == 0 {
		return " without bind"
	}
	return ""
}

// publishes reports whether backends send messages to clients of the route.
func publishes(r *Route) bool { return r.Receives() || r.Socket == zmtp.XPUB }

// subscribes reports whether backends subscribe on the route.
func subscribes(r *Route) bool { return r.Socket == zmtp.PUB || r.Socket == zmtp.XPUB }

func peerAbilities(r *Route) string {
	switch {
	case r.Socket == zmtp.XPUB:
		return "send anything to clients and subscribe to everything that they publish"
	case r.Socket == zmtp.PUB:
		return "subscribe to everything that clients publish"
	}
	return "send anything to clients"
}

// bindAllow checks the rules for backends that connect.
func (c *checker) bindAllow(key string, r *Route) {
	for i, rule := range r.BindAllow {
		of := entry(key+".bind_allow", i)
		if c.hasFault(of) {
			continue
		}
		if !c.isGiven(of+".user", true) {
			c.fault(of, `has no user: want the user that a backend logs in as, or "*" for every backend`)
		}
		c.patterns(of+".publish", rule.Publish, *r.Separator)
		c.patterns(of+".subscribe", rule.Subscribe, *r.Separator)
		switch {
		case len(rule.Publish) == 0 && len(rule.Subscribe) == 0:
			c.warn(of, "grants nothing: it has neither publish nor subscribe")
		case len(rule.Publish) > 0 && !publishes(r):
			c.warn(of+".publish", "has no effect: backends of a %s route send nothing to clients", r.Socket)
		case len(rule.Subscribe) > 0 && !subscribes(r):
			c.warn(of+".subscribe", "has no effect: backends of a %s route do not subscribe", r.Socket)
		}
	}
}
