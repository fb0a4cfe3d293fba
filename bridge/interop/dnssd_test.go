//go:build interop

package interop

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// found is a configuration of a route to what a source finds.
func found(source string) string {
	return fmt.Sprintf(`
[server]
listen = "%s:8443"
tls = "off"
announce = "bridge v1.2"
[zap]
chain = [ { authn = "guests" } ]
[auth.guests]
type = "anonymous"
[[route]]
path = "/devices"
socket = "SUB"
connect = [%q]
client_mechanisms = ["NULL"]
allow = "all"
reconnect = "500ms..5s"
`, bridgeAddress, source)
}

// startFound runs the bridge in its namespace.
func startFound(t *testing.T, l *lan, source string, endpoints int) (bridge *host, binary string) {
	t.Helper()
	h := newHome(t)
	h.write("bridge.toml", found(source))
	binary = h.build()
	bridge = startIn(t, l.bridge, true, binary, "serve", "--config", h.path("bridge.toml"))
	bridge.serves(source, endpoints)
	return bridge, binary
}

// subscribe runs a client that prints what it gets.
func (l *lan) subscribe(t *testing.T, binary string) *host {
	t.Helper()
	return startIn(t, l.bridge, false, binary, "sub", "ws://"+bridgeAddress+":8443/devices")
}

// zeroconf is python-zeroconf in the namespace of devices.
type zeroconf struct {
	*process
	*socket
}

func (l *lan) zeroconf(t *testing.T) zeroconf {
	t.Helper()
	p := start(t, "dnssd.py", l.device, deviceAddress)
	return zeroconf{p, p.socket(t)}
}

func (z zeroconf) publish(address string, port int, topic string) {
	z.process.write(command{Do: "publish", Endpoint: fmt.Sprintf("tcp://%s:%d", address, port), Frames: []string{topic}})
}

// avahi runs avahi-daemon with a service file in the namespace of devices, with a mount namespace
// of its own: its directories are compiled in.
func (l *lan) avahi(t *testing.T, h *home, service, instance string, port int) *host {
	t.Helper()
	h.mkdir("services")
	h.write("avahi.conf", "[server]\nenable-dbus=no\n[publish]\npublish-workstation=no\n")
	h.write("services/x.service", fmt.Sprintf(`<?xml version="1.0" standalone="no"?>
<!DOCTYPE service-group SYSTEM "avahi-service.dtd">
<service-group><name>%s</name>
<service><type>%s</type><port>%d</port><txt-record>maker=avahi</txt-record></service></service-group>
`, instance, service, port))
	script := `mount --bind "$1" /etc/avahi/services && mkdir -p /run/avahi-daemon && mount -t tmpfs tmpfs /run/avahi-daemon &&
exec avahi-daemon -f "$2" --no-drop-root --no-chroot --no-rlimits`
	a := startIn(t, l.device, true, "sh", "-c", script, "sh", h.path("services"), h.path("avahi.conf"))
	a.until("avahi's service", func(line string) bool { return strings.Contains(line, "successfully established") })
	return a
}

// TestDNSSD: backends that python-zeroconf and avahi announce come and go while a client stays, and
// python-zeroconf sees the bridge come and go.
func TestDNSSD(t *testing.T) {
	need(t, "python3-zmq", "python3-zeroconf", "avahi-daemon")
	l := newLAN(t)
	device, browser := l.zeroconf(t), l.zeroconf(t)
	browser.process.write(command{Do: "browse", Frames: []string{"_zws._tcp"}})
	device.publish(deviceAddress, 5556, "zeroconf")
	device.publish(deviceAddress, 5557, "avahi")
	const source = "dnssd://_zmtp._tcp"
	bridge, binary := startFound(t, l, source, 0)
	added := browser.wait("added")
	if want := []string{"bridge v1.2._zws._tcp.local.", bridgeAddress, "8443", "paths=/devices", "tls=0"}; !slices.Equal(added.Frames, want) {
		t.Errorf("python-zeroconf sees %q, want %q", added.Frames, want)
	}

	announce := func() {
		device.process.write(command{Do: "announce", Type: "_zmtp._tcp", Instance: "House v1.2", Port: 5556, Frames: []string{"maker=zeroconf"}})
		device.wait("announced")
	}
	announce()
	bridge.endpoints(source, 1)
	client := l.subscribe(t, binary)
	client.gets("zeroconf")
	avahi := l.avahi(t, newHome(t), "_zmtp._tcp", "Boiler v1.2", 5557)
	bridge.endpoints(source, 2)
	client.gets("zeroconf", "avahi")

	list := exec.Command("ip", "netns", "exec", l.device, binary, "discover", "--json")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		var s struct {
			Name, Address string
			Text          []string
		}
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		names = append(names, fmt.Sprint(s.Name, " ", s.Address, " ", s.Text))
	}
	want := []string{"Boiler v1.2 10.77.0.2:5557 [maker=avahi]", "House v1.2 10.77.0.2:5556 [maker=zeroconf]", "bridge v1.2 10.77.0.1:8443 [tls=0 paths=/devices]"}
	for i := range names { // avahi may publish its other address
		names[i] = strings.Replace(names[i], movedAddress, deviceAddress, 1)
	}
	if !slices.Equal(names, want) {
		t.Errorf("zwsbridge discover lists %q, want %q", names, want)
	}

	device.process.write(command{Do: "withdraw"})
	device.wait("withdrawn")
	bridge.endpoints(source, 1)
	client.gets("avahi")
	avahi.stop()
	bridge.endpoints(source, 0)
	announce()
	bridge.endpoints(source, 1)
	client.gets("zeroconf")

	bridge.stop()
	if gone := browser.wait("removed"); gone.Frames[0] != added.Frames[0] {
		t.Errorf("python-zeroconf sees %q go", gone.Frames)
	}
}

// TestAnnounceConflict: avahi has the name of the bridge already. One of them takes another.
func TestAnnounceConflict(t *testing.T) {
	need(t, "avahi-daemon")
	l := newLAN(t)
	avahi := l.avahi(t, newHome(t), "_zws._tcp", "bridge v1.2", 1)
	bridge, _ := startFound(t, l, "dnssd://_zmtp._tcp", 0)
	name := bridge.logs("announced in the local network", "name")
	if name == "bridge v1.2" {
		// avahi asks for its name again when IPv6 comes up, and can then be the one that gives way.
		avahi.until("another name of avahi", func(line string) bool { return strings.Contains(line, `retrying with "bridge v1.2 #2"`) })
	} else if name != "bridge v1.2 (2)" {
		t.Errorf("announced as %q", name)
	}
}

// dnsmasq runs a DNS server on the loopback interface of the bridge's namespace.
func (l *lan) dnsmasq(t *testing.T, records ...string) *host {
	t.Helper()
	args := []string{"--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--local-ttl=5", "--pid-file=",
		"--listen-address=127.0.0.1", "--bind-interfaces", "--user=root", "--log-facility=-"}
	d := startIn(t, l.bridge, true, "/usr/sbin/dnsmasq", append(args, records...)...)
	d.until("dnsmasq", func(line string) bool { return strings.Contains(line, "started") })
	return d
}

// TestSRV: SRV records of dnsmasq that change, an answer that needs TCP, a server that is gone, and
// a name whose address changes.
func TestSRV(t *testing.T) {
	need(t, "python3-zmq", "python3-zeroconf", "dnsmasq")
	l := newLAN(t)
	l.useDNS(t)
	device, moved := l.zeroconf(t), l.zeroconf(t)
	device.publish(deviceAddress, 5556, "first")
	device.publish(deviceAddress, 5557, "second")
	moved.publish(movedAddress, 5556, "moved")

	const name = "_zmtp._tcp.houses.lan"
	const source = "srv://" + name
	srv := func(target string, port int) string { return fmt.Sprintf("--srv-host=%s,%s,%d", name, target, port) }
	first := srv("house1.houses.lan", 5556)
	address := func(a string) string { return "--host-record=house1.houses.lan," + a }
	dns := l.dnsmasq(t, first, address(deviceAddress))
	bridge, binary := startFound(t, l, source, 1)
	client := l.subscribe(t, binary)
	client.gets("first")

	many := []string{first, address(deviceAddress), srv("house2.houses.lan", 5557), "--host-record=house2.houses.lan," + deviceAddress}
	for i := range 40 { // that do not exist
		many = append(many, srv(fmt.Sprintf("a-rather-long-name-of-a-house-number-%d.houses.lan", i+3), 5556))
	}
	dns.stop()
	dns = l.dnsmasq(t, many...)
	bridge.endpoints(source, 42)
	client.gets("first", "second")

	dns.stop()
	if text := bridge.logs("a source of endpoints has failed, its last list stays in force", "endpoints"); text != "42" {
		t.Errorf("a failed source has %s endpoints, want 42", text)
	}
	client.gets("first", "second")

	l.dnsmasq(t, first, address(movedAddress))
	bridge.endpoints(source, 1)
	client.gets("first") // the name was not asked for again: the connection is alive
	device.process.kill()
	client.gets("moved")
}
