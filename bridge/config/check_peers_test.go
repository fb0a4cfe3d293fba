package config

import (
	"strings"
	"testing"
)

func TestCheckPeers(t *testing.T) {
	bind := func(socket, more string) string {
		return "[[route]]\npath = \"/r\"\nsocket = \"" + socket + "\"\nallow = []\nbind = [\"ipc://x\"]\nbind_domain = \"devices\"\nmechanism = \"PLAIN\"\n" + more
	}
	none := func(socket, more string) string { return bind(socket, "bind_allow = []\n"+more) }
	testRows(t, []row{
		{none("ROUTER", `envelope = "none"`), ``},
		{none("ROUTER", `envelope = "frame"`), ``},
		{none("ROUTER", `envelope = "frames"`), `F:13: route[0].envelope: is "frames": want "none" or "frame"`},
		{none("DEALER", `envelope = "frame"`), `route[0].envelope: is "frame" on a DEALER route: want "none", or socket = "ROUTER" with bind`},
		{strings.Replace(aRoute, "DEALER", "ROUTER", 1) + `envelope = "frame"`, `route[0].envelope: is "frame" on a ROUTER route without bind: want`},
		{none("ROUTER", `peer_ids = "any"`), `warning: route[0].peer_ids: every backend that can log in here can take any routing id`},
		{strings.Replace(aRoute, "DEALER", "XSUB", 1) + `later_frames = "any"`, `route[0].later_frames: is "any", but clients share the connection to the backend: want credentials = "client"`},
		{strings.Replace(aRoute, "DEALER", "XSUB", 1) + "credentials = \"client\"\nlater_frames = \"any\"", `warning: route[0].later_frames: lets clients subscribe`},
		{strings.Replace(aRoute, "DEALER", "XSUB", 1) + "share = \"none\"\nlater_frames = \"any\"", `warning: route[0].later_frames: lets clients subscribe`},
		{aRoute + `later_frames = "any"`, `route[0].later_frames: is "any" on a DEALER route`},
		{aRoute + `later_frames = "all"`, `route[0].later_frames: is "all": want "" or "any"`},
		{none("ROUTER", `peer_ids = "all"`), `route[0].peer_ids: is "all": want "" or "any"`},
		{none("REQ", `peer_ids = "any"`), `route[0].peer_ids: is "any" on a REQ route: want "", or socket = "ROUTER" with bind`},
		{strings.Replace(aRoute, "DEALER", "ROUTER", 1) + `peer_ids = "any"`, `route[0].peer_ids: is "any" on a ROUTER route without bind`},
		{aRoute + `bind_allow = []`, `route[0].bind_allow: is only for routes with bind`},
		{bind("DEALER", ""), `warning: route[0]: has no bind_allow: every backend that can log in here can send anything to clients`},
		{bind("PUB", ""), `warning: route[0]: has no bind_allow: every backend that can log in here can subscribe to everything that clients publish`},
		{bind("XPUB", ""), `warning: route[0]: has no bind_allow: every backend that can log in here can send anything to clients and subscribe to everything that they publish`},
		{bind("PUSH", ""), ``},
		{bind("SUB", `bind_allow = [{ user = "*", publish = ["house/{user}/"] }]`), ``},
		{bind("SUB", `bind_allow = [{ publish = ["a"] }]`), `F:12: route[0].bind_allow[0]: has no user`},
		{bind("SUB", `bind_allow = [{ user = "a", publish = ["a+"] }]`), `F:12: route[0].bind_allow[0].publish[0]: pattern "a+"`},
		{bind("XPUB", `bind_allow = [{ user = "a", subscribe = ["{usr}/"] }]`), `route[0].bind_allow[0].subscribe[0]: pattern "{usr}/": unknown placeholder {usr}`},
		{bind("SUB", `bind_allow = [{ user = "a" }]`), `warning: route[0].bind_allow[0]: grants nothing: it has neither publish nor subscribe`},
		{bind("SUB", `bind_allow = [{ user = "a", publish = ["a"], subscribe = ["a"] }]`), `warning: route[0].bind_allow[0].subscribe: has no effect: backends of a SUB route do not subscribe`},
		{bind("PUB", `bind_allow = [{ user = "a", publish = ["a"], subscribe = ["a"] }]`), `warning: route[0].bind_allow[0].publish: has no effect: backends of a PUB route send nothing to clients`},
		{bind("SUB", `bind_allow = [{ user = "a", send = ["a"] }]`), `route[0].bind_allow[0].send: unknown key: allowed here are publish, subscribe, user`},
		{none("PUB", `max_subscription_bytes = "2MiB"`), ``},
		{none("PUB", `max_subscription_bytes = "10KiB"`), ``},
		{none("PUB", `max_subscription_bytes = "10kB"`), `warning: route[0].max_subscription_bytes: a tenth of it, which one user can have, is less than server.max_topic`},
		{strings.Replace(aRoute, "DEALER", "SUB", 1) + `max_subscription_bytes = 10239`, `warning: route[0].max_subscription_bytes: a tenth of it`},
		{strings.Replace(aRoute, "DEALER", "XSUB", 1) + `max_subscription_bytes = "1MiB"`, ``},
		{strings.Replace(aRoute, "DEALER", "XPUB", 1) + `max_subscription_bytes = "1MiB"`, `warning: route[0].max_subscription_bytes: has no effect: only clients of SUB and XSUB routes subscribe`},
		{aRoute + `max_subscription_bytes = "1MiB"`, `warning: route[0].max_subscription_bytes: has no effect`},
		{none("PUB", `max_subscription_bytes = 0`), `route[0].max_subscription_bytes: is 0: want at least 1`},
		{none("PULL", `on_full = "block"`), ``},
		{none("PUSH", `on_full = "block"`), ``},
		{none("PUB", `on_full = "block"`), `route[0].on_full: is "block" on a route whose clients share`},
		{none("XPUB", `on_full = "block"`), `route[0].on_full: is "block"`},
		{none("XSUB", `on_full = "block"`), `route[0].on_full: is "block"`},
		{none("SUB", `on_full = "block"`), `route[0].on_full: is "block"`},
		{none("ROUTER", `on_full = "block"`), `route[0].on_full: is "block"`},
		{none("REQ", `on_full = "block"`), `route[0].on_full: is "block"`},
		{strings.Replace(strings.Replace(aRoute, "DEALER", "XPUB", 1), "subscribe = [\"#\"], ", "", 1) + `on_full = "block"`, ``},
	})
}
