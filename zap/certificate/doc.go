// Package certificate implements a ZAP authenticator for TLS client certificates. The TLS layer
// verifies the certificate's chain and makes a request with mechanism TLS; the [Authenticator]
// checks the validity period and takes the user id from the certificate, from the first of the
// fields in [Options] that it has. The login expires with the certificate.
package certificate
