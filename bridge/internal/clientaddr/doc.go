// Package clientaddr finds out where an HTTP request comes from when proxies stand between
// the client and the bridge. [Locate] is the one function that decides whose address a
// request has, for routes and for the operators' interface alike; [Network] is the key by
// which limits count that address.
package clientaddr
