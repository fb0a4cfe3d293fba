package config

// Descriptors returns how many file descriptors a connection of a client can need, and how many
// are needed in any case: a client on a route without shared backends has a connection to each
// of them, and one that gets a static file has that file. A source of backends counts as one: what
// it finds is not known. Further channels of ZWSMUX1.0 are not counted.
func (c *Config) Descriptors() (cost, fixed int) {
	cost, fixed = 1, len(c.Zap.Listen)
	if c.Server.Static != "" {
		cost = 2
	}
	for i := range c.Routes {
		r := &c.Routes[i]
		backends := len(r.Connect)
		if r.ConnectFile != "" {
			backends++
		}
		fixed += len(r.Bind)
		if r.Shared() {
			fixed += backends
		} else {
			cost = max(cost, 1+backends)
		}
	}
	return cost, fixed
}
