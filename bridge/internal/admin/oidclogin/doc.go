// Package oidclogin logs people in at an OpenID provider by redirect: the authorization code
// flow (OpenID Connect Core 1.0, section 3.1) with PKCE (RFC 7636), state and nonce.
//
// A [Client] belongs to one provider. Begin returns the provider's URL to send the browser to,
// and a ticket for a cookie. Finish takes the ticket and the query with which the browser comes
// back, and returns the access token. Errors of both are of type [Error], with a [Reason] for
// the person who logs in.
//
// The server keeps no state between the two: the ticket holds it, encrypted with a random key.
// Logins that are never finished therefore cost no memory and cannot displace others.
package oidclogin
