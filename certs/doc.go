// Package certs holds the two kinds of keys that the bridge has: CURVE certificates in the
// file format of czmq's zcert, and the TLS certificates of its own listeners.
//
// CURVE: a [Certificate] is a key pair, or the public half of one, with metadata; keys are
// written in Z85 (32/Z85). A secret file that others may read is refused.
//
// TLS: [SelfSigned] for development, [Files] for certificates that somebody else renews,
// [ACME] for those that the bridge orders itself.
//
// The package imports nothing else of this module.
package certs
