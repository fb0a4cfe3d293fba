// Package ip implements decisions by the peer's IP address. [Rules] are a ZAP authenticator for
// peers without credentials (mechanism NULL) and an authorizer for logins that another
// authenticator has accepted, where the allowed ranges can also depend on the user's tags.
//
// [New] parses the ranges. Since rules need no service, a chain also applies them to existing
// logins after a reload, see [zap.Reviewer].
package ip
