package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCheckSources: sources of backends, and where they cannot be.
func TestCheckSources(t *testing.T) {
	const key = `"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"`
	const head = "[[route]]\npath = \"/p\"\nsocket = \"SUB\"\nallow = \"all\"\n"
	const srv = head + "connect = [\"srv://_zmtp._tcp.houses.lan\"]\n"
	const local = head + "connect = [\"dnssd://_zmtp._tcp\"]\n"
	const curve = "mechanism = \"CURVE\"\ncert = \"certs/bridge\"\n"
	const announces = `warning: route[0].connect[0]: connects to every machine in the local network that announces _zmtp._tcp`
	const lacksKey = `route[0].connect[0]: has no server_key, and neither has the route`
	testRows(t, []row{
		{srv, ``},
		{head + "connect = [\"srv://_zmtp._tcp.houses.lan.\", \"tcp://127.0.0.1:1\"]\n", ``},
		{head + "connect = [\"srv://_zmtp._tcp.houses.lan:5556\"]\n", `route[0].connect[0]: is "srv://_zmtp._tcp.houses.lan:5556": want a DNS name with SRV records, without a port`},
		{head + "connect = [\"srv://\"]\n", `want a DNS name with SRV records`},
		{head + "connect = [\"srv://a..b\"]\n", `want a DNS name with SRV records`},
		{head + "connect = [\"srv://" + strings.Repeat("x", 64) + ".lan\"]\n", `want a DNS name with SRV records`},
		{head + "connect = [\"srv://_zmtp._tcp.{user}.lan\"]\n", `sources cannot have placeholders`},
		{head + "connect = [\"dnssd://{meta.x}._tcp\"]\n", `sources cannot have placeholders`},
		{local, announces},
		{head + "connect = [\"dnssd://_zmtp._tcp.local\"]\n", announces},
		{head + "connect = [\"dnssd://_zmtp._udp\"]\n", `is not a service type: want one like "_zmtp._tcp"`},
		{head + "connect = [\"dnssd://zmtp\"]\n", `is not a service type`},
		{head + "bind = [\"srv://x\"]\nbind_domain = \"devices\"\ninsecure_null = true\n", `route[0].bind[0]: has the transport "srv"`},

		{srv + curve, lacksKey},
		{srv + curve + "server_key = " + key + "\n", ``},
		{head + "connect = [{ endpoint = \"srv://a.lan\", server_key = " + key + " }]\n" + curve, ``},
		{head + "connect = [{ endpoint = \"srv://a.lan\", server_key = " + key + " }]\n", `route[0].connect[0]: has a server_key, and mechanism is "NULL"`},
		{local + curve, `the route has neither server_key nor server_keys`},
		{local + curve + "server_keys = [" + key + "]\n", ``},
		{local + curve + "server_keys = [\"short\"]\n", `route[0].server_keys[0]: is not a CURVE public key`},
		{local + curve + "server_key = " + key + "\n", ``},
		{local + curve + "insecure_announced_keys = true\n", `warning: route[0].insecure_announced_keys: every machine in the local network`},
		{srv + "insecure_announced_keys = true\n", `route[0].insecure_announced_keys: is only for mechanism = "CURVE" with a source like "dnssd://_zmtp._tcp"`},
		{srv + curve + "server_key = " + key + "\nserver_keys = [" + key + "]\n", `route[0].server_keys: is only for`},

		{srv + "mechanism = \"PLAIN\"\nusername = \"u\"\npassword_file = \"certs/password\"\n", `route[0].connect[0]: finds backends, and PLAIN would send them the password in the clear`},
		{srv + "mechanism = \"PLAIN\"\nusername = \"u\"\npassword_file = \"certs/password\"\ninsecure_plaintext = true\n", ``},
		{srv + "credentials = \"client\"\ninsecure_plaintext = true\n", `route[0].connect[0]: finds backends, and credentials = "client" would send passwords of clients`},
		{strings.Replace(srv, "SUB", "PAIR", 1), `route[0].connect[0]: can find several backends, and a PAIR has one`},
		{strings.Replace(srv, "SUB", "DEALER", 1), ``},
		{strings.Replace(srv, "SUB", "DEALER", 1) + "share = \"requests\"\n", ``},
		{srv + "bind = [\"ipc://x\"]\nbind_domain = \"devices\"\ninsecure_null = true\n", `want only one of the two`},
		{srv + "relay = true\n", `route[0].connect[0]: finds backends, and a relay has exactly one`},

		{head + "connect_file = \"missing.json\"\n", `warning: route[0].connect_file: DIR/missing.json does not exist yet: it has no backends until it does`},
		{head + "connect_file = \"good.json\"\n", ``},
		{head + "connect_file = \"bad.json\"\n", `warning: route[0].connect_file: DIR/bad.json: entry 2: is "tcp://{user}:1": placeholders are only for connect in the configuration: the file is not used until this is mended`},
		{head + "connect_file = \"good.json\"\n" + curve, `warning: route[0].connect_file: DIR/good.json: entry 1: has no server_key, and neither has the route`},
		{head + "connect_file = \"good.json\"\n" + curve + "server_key = " + key + "\n", ``},
		{head + "connect_file = \"good.json\"\nmechanism = \"PLAIN\"\nusername = \"u\"\npassword_file = \"certs/password\"\n", `route[0].connect_file: finds backends, and PLAIN`},
		{head + "connect_file = \"good.json\"\nmechanism = \"PLAIN\"\ninsecure_plaintext = true\n", `route[0].username: missing`},
		{head + "connect_file = \"\"\n", `route[0]: has neither connect nor bind`},
	})
}

// TestCheckAnnounce: names that the network can have.
func TestCheckAnnounce(t *testing.T) {
	const listen = "[server]\nlisten = \":8443\"\n"
	testRows(t, []row{
		{listen + "announce = \"zwsbridge on {host}\"\n" + aRoute, ``},
		{listen + "announce = \"{user}\"\n" + aRoute, `server.announce: is "{user}": want a name whose only placeholder is {host}`},
		{listen + "announce = \"" + strings.Repeat("x", 64) + "\"\n" + aRoute, `server.announce: cannot be a name in the network`},
		{"[server]\nannounce = \"x\"\n" + aRoute, `warning: server.announce: announces a bridge that only this machine can reach`},
	})
}

// TestPublication: what is announced of a bridge.
func TestPublication(t *testing.T) {
	c := Default()
	c.Server.Announce, c.Server.Listen = "bridge on {host}", "192.0.2.7:8443"
	for range 100 {
		c.Routes = append(c.Routes, Route{Path: "/devices"})
	}
	p := c.Publication(8444)
	if want := "bridge on " + hostLabel(); p.Instance != want || p.Host != hostLabel()+"-zwsbridge" || p.Port != 8444 || p.Only.String() != "192.0.2.7" {
		t.Errorf("%+v, want the name %q", p, want)
	}
	paths := strings.TrimSuffix(strings.Repeat("/devices,", 26), ",")
	if diff := cmp.Diff([]string{"tls=1", "paths=" + paths}, p.Services[1].Text); diff != "" || p.Services[0].Type != "_https._tcp" {
		t.Errorf("%v %s", p.Services, diff)
	}
	c.Server.TLS, c.Server.Listen = TLSOff, ":8080"
	if p := c.Publication(1); p.Services[0].Type != "_http._tcp" || p.Services[1].Text[0] != "tls=0" || p.Only.IsValid() {
		t.Errorf("%+v", p)
	}
}
