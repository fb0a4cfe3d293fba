// Package httpclient makes the HTTP clients of the authenticators: with a timeout, without
// redirects, and with a limit on everything that a service sends.
//
// [HTTP] returns a plain *http.Client with these limits, for code that needs one, such as an
// OpenID library. [Client] sends requests to one service that decides on logins: it limits
// how many are in flight, keeps connections open, reads whole responses and can be closed.
package httpclient
