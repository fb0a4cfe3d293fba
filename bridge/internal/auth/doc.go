// Package auth turns the [zap] and [auth.NAME] tables of a configuration into the ZAP handlers
// of the bridge (27/ZAP).
//
//   - [New] builds a [Chain]: the authenticators and the zap.Chain that asks them in order. A
//     reload builds the next Chain from the previous one, so that clients of HTTP services whose
//     settings did not change, and what they have cached, stay in use. The Chain also decides
//     which logins a reload revokes (Revoked, Unasked).
//   - [Failures] stands before the chain in force and limits refused logins per address, per user
//     name, and per pair of both. It is the zap.Guard of the handlers: they enter it before they
//     judge credentials that can be guessed, or ask a service. tally.go has what is counted,
//     attempt.go the policy, waiting.go those that wait.
//   - [Listen] opens the endpoints of zap.listen, where native ZeroMQ servers ask the chain.
//
// Package bridge passes its Failures as handler to every route and to every listener for
// backends, and calls New and Listen at the start and on each reload.
package auth
