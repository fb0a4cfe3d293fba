// Package tokenendpoint implements a ZAP authenticator for opaque tokens: an application's HTTP
// endpoint decides whether a token is valid, and whose it is.
//
// The protocol is that of Wave-IM. A [Client] sends
//
//	GET /the/endpoint
//	token: <the token>
//
// and the application responds with status 200 and {"userID": "…"}, or with 400 if the token is
// not valid. Any other response and a timeout are errors, which let nobody in. A token of the
// wrong form is passed without a request.
//
// Users can be given another name, a random UUID that never changes, so that native ZeroMQ
// peers do not learn the names of the application's users: see [Identities]. A user can also be
// limited to one valid token: see [Options].
package tokenendpoint
