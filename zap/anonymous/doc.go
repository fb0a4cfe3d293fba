// Package anonymous implements a ZAP authenticator that accepts every peer without credentials,
// that is mechanism NULL. It is normally the last entry of a [zap.Chain], or the only one in
// the domain of a public route; package ip does the same for some addresses only.
package anonymous
