package config

import "testing"

// TestCheckHistory: everything that cannot work is refused with its key, and says what would.
func TestCheckHistory(t *testing.T) {
	const sub = "[[route]]\npath = \"/p\"\nsocket = \"SUB\"\nconnect = [\"tcp://127.0.0.1:1\"]\n"
	const kept = sub + "allow = \"all\"\n[route.history]\ntopics = [\"house/\"]\n"
	const nats = "[history]\nstore = \"nats\"\n"
	testRows(t, []row{
		{kept, ``},
		{kept + `max_age = "0s"`, ``},
		{kept + `last_value = "some"`, `route[0].history.last_value: is "some": want "off", "ask" or "always"`},
		{kept + `max_bytes = 1000`, `route[0].history.max_bytes: is 1000: want at least 1024`},
		{kept + `max_last_values = 0`, `route[0].history.max_last_values: is 0: want at least 1`},
		{kept + `max_queues_per_user = 0`, `route[0].history.max_queues_per_user: is 0: want at least 1`},
		{kept + `queue = "all"`, `route[0].history.queue: is "all": want "" or "user"`},
		{kept + `queue = "user"`, ``},
		{kept + "queue = \"user\"\nmax_age = \"1h\"", `warning: route[0].history.max_age: is 1h0m0s, and queues live 72h0m0s`},
		{kept + `ready = "all"`, `route[0].history.ready: is a key of [[route]]: in TOML`},
		{sub + "allow = \"all\"\n[route.history]\nmax_age = \"1m\"\n", `route[0].history: has no topics`},
		{sub + "client_mechanisms = [\"NULL\", \"PLAIN\"]\n[route.history]\ntopics = [\"\"]\nqueue = \"user\"\n", `is "user", and client_mechanisms has "NULL"`},
		{sub + "credentials = \"client\"\n[route.history]\ntopics = [\"\"]\n", `route[0].history: needs socket "SUB" or "XSUB" with one login`},
		{aRoute + "[route.history]\ntopics = [\"\"]\n", `route[0].history: needs socket "SUB"`},
		{sub + `on_full = "replay"`, `route[0].on_full: is "replay", which needs a [route.history] table`},
		{sub + "allow = \"all\"\non_full = \"replay\"\n[route.history]\ntopics = [\"\"]\n", ``},
		{"[history]\nstore = \"disk\"\n", `history.store: is "disk": want "memory", "file" or "nats"`},
		{"[history]\ndir = \"x\"\n", `warning: history.dir: has no effect without store = "file"`},
		{"[history]\nstore = \"file\"\ndir = \"\"\n", `history.dir: missing`},
		{nats, ``},
		{"[history.nats]\nname = \"a\"\n", `warning: history.nats: has no effect without store = "nats"`},
		{nats + "sync = \"1s\"\n", `warning: history.sync: has no effect without store = "file"`},
		{nats + "[history.nats]\nservers = []\n", `history.nats.servers: is empty`},
		{nats + "[history.nats]\nservers = [\"127.0.0.1:4222\"]\n", `history.nats.servers[0]: is "127.0.0.1:4222": want a URL`},
		{nats + "[history.nats]\nservers = [\"nats://a:b@127.0.0.1:4222\"]\n", `history.nats.servers[0]: has a password`},
		{nats + "[history.nats]\nservers = [\"nats://nats.lan:4222\"]\n", `warning: history.nats.servers[0]: everybody on the way to nats.lan`},
		{nats + "[history.nats]\nservers = [\"tls://nats.lan:4222\"]\n", ``},
		{nats + "[history.nats]\nname = \"a.b\"\n", `history.nats.name: is "a.b"`},
		{nats + "[history.nats]\nreplicas = 0\n", `history.nats.replicas: is 0: want 1 to 5`},
		{nats + "[history.nats]\nlease = \"10ms\"\n", `history.nats.lease: is 10ms: want 1s to 10m`},
		{nats + "[history.nats]\nuser = \"a\"\n", `history.nats: has only one of user and password_file`},
		{nats + "[history.nats]\nuser = \"a\"\ncredentials = \"/nowhere\"\n", `history.nats.credentials: and user are two ways`},
		{nats + "[history.nats]\ncredentials = \"/nowhere\"\n", `history.nats.credentials: /nowhere: no such file`},
		{nats + "[history.nats]\nca = \"/nowhere\"\n", `history.nats.ca: /nowhere: no such file`},
		{nats + "[history.nats]\nkey = \"/nowhere\"\n", `history.nats: has only one of cert and key`},
	})
}
