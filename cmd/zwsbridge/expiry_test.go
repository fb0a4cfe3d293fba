package main

import (
	"crypto/tls"
	"testing"
	"time"

	"golang.org/x/crypto/acme"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/certs"
)

// TestExpiry: the expiry is that of the certificate in use; with ACME none is requested for it.
func TestExpiry(t *testing.T) {
	own, err := certs.SelfSigned(certs.SelfSignedOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	if left := time.Until(expiry(c, own)()); left < 24*time.Hour {
		t.Errorf("a new certificate expires in %v", left)
	}
	if expiry(c, nil) != nil {
		t.Error("an expiry without TLS")
	}
	asked := 0
	get := own.GetCertificate
	managed := &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		asked++
		return get(h)
	}}
	c.Server.TLS = config.TLSACME
	expires := expiry(c, managed)
	challenge := &tls.ClientHelloInfo{SupportedProtos: []string{acme.ALPNProto}}
	if _, err := managed.GetCertificate(challenge); err != nil || asked != 1 || !expires().IsZero() {
		t.Errorf("after a challenge: asked %d times, %v, expires %v", asked, err, expires())
	}
	if _, err := managed.GetCertificate(new(tls.ClientHelloInfo)); err != nil || expires().IsZero() || asked != 2 {
		t.Errorf("after a client: asked %d times, %v, expires %v", asked, err, expires())
	}
}
