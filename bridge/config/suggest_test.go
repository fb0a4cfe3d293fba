package config

import "testing"

func TestUnknownKeys(t *testing.T) {
	const curve = "[auth.x]\ntype = \"curve\"\n"
	testRows(t, []row{
		{"[server]\nmax_mesage = 1\n", `server.max_mesage: unknown key: did you mean max_message?`},
		{"[server]\nmaxMessage = 1\n", `server.maxMessage: unknown key: did you mean max_message?`},
		{"[server]\nmax-message = 1\n", `server.max-message: unknown key: did you mean max_message?`},
		{"[server]\nMAX_MESSAGE = 1\n", `server.MAX_MESSAGE: unknown key: did you mean max_message?`},
		{"[server]\norgins = []\n", `server.orgins: unknown key: did you mean origins?`},
		{"[server]\nlsiten = \"\"\n", `server.lsiten: unknown key: did you mean listen?`},
		{"[server]\norigin = []\n", `server.origin: unknown key: did you mean origins?`},
		{"[server]\npath = 1\n", `server.path: unknown key: allowed here are acme_cache,`},
		{"[server]\npath = 1\n", `; did you mean path of [[route]]?`},
		{"[severs]\nx = 1\n", `severs: unknown key: did you mean server?`},
		{"[[routes]]\nx = 1\n", `routes: unknown key: did you mean route?`},
		{"[zap]\nchains = []\n", `zap.chains: unknown key: did you mean chain?`},
		{"[zap]\nchain = [{ autn = \"users\" }]\n", `zap.chain[0].autn: unknown key: did you mean authn?`},
		{curve + "directory = \"x\"\n", `auth.x.directory: unknown key: allowed here are dir, type, user_prefix`},
		{curve + "dirs = \"x\"\n", `auth.x.dirs: unknown key: did you mean dir?`},
		{aRoute + "high_watermark = 1\n", `route[0].high_watermark: unknown key: did you mean high_water_mark?`},
		{aRoute + "hwm = 1\n", `route[0].hwm: unknown key: did you mean high_water_mark?`},
		{aRoute + "lag = 1\n", `route[0].lag: unknown key: allowed here are allow,`},
		{"[server]\nport = 1\n", `server.port: unknown key: did you mean listen?`},
		{"[server]\ncork = 1\n", `server.cork: unknown key: allowed here are acme_cache,`},
		{aRoute + "origins = []\n", `; did you mean origins of [server]? (route /r)`},
		{aRoute + "x = 1\n", `route[0].x: unknown key: allowed here are allow,`},
	})
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "abd", 1},
		{"abc", "ab", 1}, {"kitten", "sitting", 3}, {"ca", "abc", 3}, {"listen", "lsiten", 1},
	} {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("%q, %q: %d, want %d", tt.a, tt.b, got, tt.want)
		}
		if got := distance(tt.b, tt.a); got != tt.want {
			t.Errorf("%q, %q: %d, want %d", tt.b, tt.a, got, tt.want)
		}
	}
}
