// Package discover finds the backends of a route while the bridge runs.
//
// A [Source] reports lists of endpoints: [NewSRV] asks DNS servers for SRV records (RFC 2782),
// [NewDNSSD] listens to what devices announce in the local network (RFC 6763), [NewFile] watches
// a JSON file. A list replaces the one before. A source that fails says so, and its last list
// stays in force; an empty list is not a failure.
//
// A [Finder] runs a source and calls the route when its endpoints have changed. It logs when the
// source fails and when it works again, and its [Status] is what operators and metrics see.
//
// Endpoints are not resolved further: a host name in one is looked up by each attempt to connect.
package discover
