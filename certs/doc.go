// Package certs has the keys and certificates of the bridge: CURVE certificates in the file
// format of CZMQ's zcert, and TLS certificates for its listeners.
//
// CURVE: [New] generates a [Certificate], a key pair with metadata. [Certificate.Write]
// writes it as two files, a public one and a secret one, which [ReadPublic] and [ReadSecret]
// read. Keys are written in Z85 (32/Z85), see [EncodeKey]. A secret file that other users can
// access is refused ([ReadPrivate], [PermissionError]).
//
// TLS: each of these returns a server configuration or leads to one: [SelfSigned] for
// development, [Files] for certificates that another program renews, and [ACME] for
// certificates that the bridge orders itself.
//
// The package imports no other package of this module.
package certs
