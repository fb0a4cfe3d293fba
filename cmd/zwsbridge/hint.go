package main

import (
	"crypto/x509"
	"errors"
	"fmt"
)

// withHint adds to an error of a connection what the user can do about it.
func withHint(err error) error {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return fmt.Errorf("%w: give --ca FILE with the certificate that signed it, or for a test --insecure", err)
	}
	return err
}
