// Package oidclogin logs people in at an OpenID provider by redirect: the authorization code
// flow (OpenID Connect Core 1.0, section 3.1) with PKCE (RFC 7636), state and nonce.
//
//	Begin   where the browser is to go, and a ticket that it is to bring back as a cookie
//	Finish  the access token, for the ticket and the query that the browser comes back with
//
// Nothing is kept between the two: the ticket holds what has to be remembered, sealed with a
// key that nobody else has. So logins that are begun and never finished cost no memory, and
// nobody can push out those of others by beginning many.
package oidclogin
