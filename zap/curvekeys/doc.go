// Package curvekeys implements a ZAP authenticator for CURVE. The permitted public keys are in
// a directory, one certificate in czmq's zcert format per file (see package certs).
//
// [New] reads the directory and starts an [Authenticator], which reads it again when it
// changes and reports the logins that a change has revoked. [AllowAny] instead of a directory
// permits every key.
package curvekeys
