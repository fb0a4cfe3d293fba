// Package tokenendpoint has an application decide on tokens that mean nothing to us: a
// token is good if the application's endpoint says whose it is.
//
// The contract is that of Wave-IM. We ask
//
//	GET /the/endpoint
//	token: <the token>
//
// and the application answers with status 200 and {"userID": "…"}, or with 400 if the token
// is not good. Any other answer, one that comes too late, and none are errors, which let
// nobody in. What does not have the form of a token is refused without asking.
//
// The user can be given another name, a random UUID that stays the same for ever, so that
// native ZeroMQ peers do not learn the names of the application's users: see [Identities].
// And a user can be held to a single token: see [Options].
package tokenendpoint
