package route

import "github.com/zwsbridge/zwsbridge/bridge/config"

// Prepare prepares the change of the route, which Matches rc, to the endpoints, credentials and
// limits that rc names, with the Handler and Inherit of o. Nothing changes before Apply; Discard
// gives up. Errors are those of reading credentials, and of listening.
func (r *Route) Prepare(c *config.Config, rc *config.Route, o Options) (*Update, error) {
	u := &Update{route: r, file: fileEndpoints(rc), found: newFinders(c, rc)}
	var err error
	if u.links, err = newLinks(c, rc, &o); err != nil {
		return nil, err
	}
	if s := r.listening(); s != nil {
		u.bind, err = s.Rebind(r.listenOptions(u.links))
		return u, err
	}
	r.changing.Lock()
	defer r.changing.Unlock()
	_, l := u.next()
	_, err = r.upstream.prepare(l)
	return u, err
}

// withoutLinks removes from r what links hold, and Update changes.
func withoutLinks(r *config.Route) {
	r.Connect, r.ConnectFile, r.EndpointsAllowed = nil, "", nil
	r.ServerKeys, r.InsecureAnnouncedKeys = nil, false
	r.Ready, r.ConnectTimeout, r.Reconnect = "", 0, config.Interval{}
	r.Bind, r.BindDomain, r.InsecureNull, r.PeerIDs = nil, "", false, ""
	r.Mechanism, r.Credentials, r.Username, r.PasswordFile, r.Cert = "", "", "", "", ""
	r.ServerKey, r.InsecurePlaintext, r.ZMTP2 = config.CurveKey{}, false, false
}
