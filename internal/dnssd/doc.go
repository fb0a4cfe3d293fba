// Package dnssd finds and announces services in the local network: DNS-based service discovery
// (RFC 6763) by multicast DNS (RFC 6762).
//
// [Browse] reports the instances of a service type, with an address and the TXT record of each,
// whenever they change. [Publish] announces a [Publication] and answers questions about it. Both
// run until their context is done; each opens sockets on UDP port 5353 that it shares with
// other responders of the machine, such as avahi-daemon.
//
// A link joins the multicast groups on all interfaces (link.go), wire.go reads and builds
// messages. browser and publisher are the two state machines; they know neither sockets nor
// timers.
package dnssd
