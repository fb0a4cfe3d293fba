package config

import (
	"fmt"
	"testing"
)

func TestCheckRelay(t *testing.T) {
	const key = `"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"`
	relay := aRoute + "relay = true\n"
	// with is a relay for socket with one rule.
	with := func(socket, rule string) string {
		return fmt.Sprintf("[[route]]\npath = \"/r\"\nsocket = %q\nrelay = true\nconnect = [\"tcp://127.0.0.1:5556\"]\nallow = [{ user = \"*\", %s }]\n", socket, rule)
	}
	rows := []row{
		{relay, ``},
		{relay + "on_full = \"block\"\n", ``},
		{relay + "on_full = \"drop-oldest\"\n", `route[0].on_full: is "drop-oldest": want "block"`},
		{relay + "client_mechanisms = [\"PLAIN\", \"BEARER\"]\n", ``},
		{relay + "client_mechanisms = [\"CURVE\"]\n", `route[0].client_mechanisms: holds "CURVE"`},
		{relay + "insecure_plaintext = true\n", ``},
		{with("SUB", `subscribe = [""]`), ``},
		{with("SUB", `subscribe = ["#"]`), ``},
		{with("SUB", `subscribe = ["house/", "#"]`), ``},
		{with("SUB", `subscribe = ["house/"]`), `route[0].allow[0]: is not for all topics, and a relay cannot restrict topics: want subscribe = [""]`},
		{with("SUB", `subscribe = ["+/#"]`), `want subscribe = [""]`},
		{with("SUB", `subscribe = ["{user}"]`), `want subscribe = [""]`},
		{with("SUB", `send = [""]`), `want subscribe = [""]`},
		{with("XSUB", `subscribe = [""]`), `want send = [""]`},
		{with("PULL", `subscribe = [""]`), ``},
		{with("PUSH", `send = [""]`), ``},
		{with("PUSH", `send = ["house/"]`), `want send = [""]`},
		{with("ROUTER", `send = ["#"]`), ``},
		{with("PAIR", `send = ["#"]`), `want subscribe = [""]`},
		{with("PAIR", `subscribe = ["#"]`), `want send = [""]`},
		{"[[route]]\npath = \"/r\"\nsocket = \"PULL\"\nrelay = true\nconnect = [\"tcp://10.0.0.1:1\"]\ninsecure_plaintext = true\nallow = [{ user = \"*\", subscribe = [\"\"] }]\n",
			`warning: route[0].insecure_plaintext: passwords and tokens of clients that log in with PLAIN or BEARER go to tcp://10.0.0.1:1 in the clear`},
		{"[[route]]\npath = \"/r\"\nsocket = \"PULL\"\nrelay = true\nconnect = [\"tcp://10.0.0.1:1\", \"tcp://10.0.0.2:1\"]\nallow = [{ user = \"*\", subscribe = [\"\"] }]\n",
			`route[0].connect: has 2 endpoints: want one`},
		{"[[route]]\npath = \"/r\"\nsocket = \"PULL\"\nrelay = true\nconnect = [{ endpoint = \"tcp://10.0.0.1:1\", server_key = " + key + " }]\nallow = [{ user = \"*\", subscribe = [\"\"] }]\n",
			`route[0].connect[0]: has a server_key, which has no effect with relay = true`},
		{"[[route]]\npath = \"/r\"\nsocket = \"PULL\"\nrelay = true\nconnect = [\"tcp://{user}.lan:1\"]\nendpoints_allowed = [\"tcp://*.lan:1\"]\nallow = [{ user = \"*\", subscribe = [\"\"] }]\n", ``},
		{"[[route]]\npath = \"/r\"\nsocket = \"PULL\"\nrelay = true\n", `has neither connect nor bind`},
	}
	values := map[string]string{
		"bind": `["tcp://127.0.0.1:1"]`, "server_key": key, "insecure_null": "true", "flush": `"1ms"`, "reconnect": `"1s..2s"`,
	}
	for _, k := range withoutRelay {
		value := values[k.key]
		if value == "" {
			value = `"client"`
		}
		rows = append(rows, row{relay + k.key + " = " + value + "\n", "route[0]." + k.key + ": has no effect with relay = true: " + k.why})
	}
	testRows(t, rows)
}
