//go:build interop

package interop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap/jwt"
)

// tokenMaker makes tokens for both RabbitMQ and the bridge.
type tokenMaker struct {
	t   *testing.T
	h   *home
	key *jwt.SigningKey
}

// newTokenMaker makes a key pair and writes its public key to issuer.pem.
func newTokenMaker(t *testing.T) *tokenMaker {
	t.Helper()
	m := &tokenMaker{t: t, h: &home{t: t, dir: t.TempDir()}}
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	m.h.write("issuer.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})))
	m.key = m.signer(private)
	return m
}

// signer returns a signing key that claims to be the issuer's.
func (m *tokenMaker) signer(private any) *jwt.SigningKey {
	m.t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		m.t.Fatal(err)
	}
	file := filepath.Join(m.t.TempDir(), "issuer.pem") // the file name is the kid
	h := &home{t: m.t, dir: filepath.Dir(file)}
	h.write("issuer.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	k, err := jwt.ReadSigningKey(file, "")
	if err != nil {
		m.t.Fatal(err)
	}
	return k
}

// queues has the scopes that RabbitMQ needs for the queue of a STOMP subscription. They match no
// route of the bridges.
const queues = " rabbitmq.configure:*/stomp-* rabbitmq.write:*/stomp-* rabbitmq.read:*/stomp-*"

// tokens returns the tokens to try, by what distinguishes them.
func (m *tokenMaker) tokens() map[string]string {
	sign := func(k *jwt.SigningKey, scope string, more map[string]any) string {
		m.t.Helper()
		claims := map[string]any{
			"sub": "ann", "client_id": "producer", "aud": []string{"rabbitmq", "portal"},
			"exp": time.Now().Add(time.Hour).Unix(), "scope": scope + queues,
		}
		for name, v := range more {
			claims[name] = v
		}
		token, err := k.Sign(claims)
		if err != nil {
			m.t.Fatal(err)
		}
		return token
	}
	strangerRSA, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		m.t.Fatal(err)
	}
	strangerEC, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		m.t.Fatal(err)
	}
	all := "rabbitmq.read:*/*/* rabbitmq.write:*/*/*"
	tokens := map[string]string{
		"unknown key":         sign(m.signer(strangerRSA), all, nil),
		"another algorithm":   sign(m.signer(strangerEC), all, nil),
		"another audience":    sign(m.key, all, map[string]any{"aud": "portal"}),
		"expired":             sign(m.key, all, map[string]any{"exp": time.Now().Add(-time.Second).Unix()}),
		"scopes as a list":    sign(m.key, "", map[string]any{"scope": []string{"rabbitmq.read:homes/*/*", "rabbitmq.configure:*/stomp-*", "rabbitmq.write:*/stomp-*", "rabbitmq.read:*/stomp-*"}}),
		"words in a list":     sign(m.key, "", map[string]any{"scope": []string{"openid rabbitmq.read:*/*/*", "rabbitmq.configure:*/stomp-*", "rabbitmq.write:*/stomp-*", "rabbitmq.read:*/stomp-*"}}),
		"two spaces":          sign(m.key, "openid  rabbitmq.read:homes/*/*  ", nil),
		"exp of year 2286":    sign(m.key, all, map[string]any{"exp": 9999999999}),
		"other prefix":        sign(m.key, "portal.read:*/*/* portal.write:*/*/*", nil),
		"no prefix":           sign(m.key, "read:*/*/* write:*/*/*", nil),
		"the tag of an admin": sign(m.key, "rabbitmq.tag:administrator", nil),
	}
	for _, scope := range []string{
		all,
		"rabbitmq.read:*/* rabbitmq.write:*/*",
		"rabbitmq.read:homes/devices/alice.* rabbitmq.read:homes/devices/public.news",
		"rabbitmq.write:homes/c*/public.* rabbitmq.read:office/*/*",
		"rabbitmq.read:%2A/devices/* rabbitmq.write:homes/%63ommands/*",
		"rabbitmq.read:homes/devices/alice.temp/more rabbitmq.write:homes",
		"rabbitmq.configure:*/*/*",
		// A star before the end: the bridge filters what a subscription delivers, where RabbitMQ
		// refuses to bind. The client cannot see that, so only writes are compared.
		"rabbitmq.write:h*s/d*s/*.*e*p rabbitmq.read:*m*/*/a*",
		"rabbitmq.write:homes/devices rabbitmq.write:*/*/alice.temp",
	} {
		tokens[scope] = sign(m.key, scope, nil)
	}
	return tokens
}

// TestRabbitMQTokens compares what the same tokens open at RabbitMQ and at the bridge. Without any
// right in a vhost a user cannot log in to RabbitMQ, and can open no route of the bridge: both
// count as refused.
func TestRabbitMQTokens(t *testing.T) {
	m := newTokenMaker(t)
	broker := rabbitmq(t, fmt.Sprintf(`
auth_backends.1 = rabbit_auth_backend_oauth2
auth_oauth2.resource_server_id = rabbitmq
auth_oauth2.default_key = issuer
auth_oauth2.signing_keys.issuer = %s
auth_oauth2.algorithms.1 = RS256
`, m.h.path("issuer.pem")), "rabbitmq_auth_backend_oauth2")
	o := newBridges(t, fmt.Sprintf(`
type = "jwt"
algorithms = ["RS256"]
keys = [%q]
resource_server_id = "rabbitmq"
strict_topics = true
`, m.h.path("issuer.pem")))
	count := make(map[bool]int)
	for name, token := range m.tokens() {
		for _, vhost := range []string{"homes", "office"} {
			for _, exchange := range []string{"devices", "commands"} {
				for _, write := range []bool{false, true} {
					for _, topic := range []string{"alice.temp", "public.news", "bob"} {
						a := attempt{"", token, vhost, exchange, write, topic}
						got := o.decide(t, a) == allowed
						a.user = "ignored by RabbitMQ"
						want := byRabbitMQ(t, broker, a) == allowed
						if got != want {
							t.Errorf("%s, write %v, %s/%s/%s: allowed %v, by RabbitMQ %v", name, write, vhost, exchange, topic, got, want)
						}
						count[want]++
					}
				}
			}
		}
	}
	t.Logf("%d allowed, %d refused", count[true], count[false])
	if count[true] == 0 || count[false] == 0 {
		t.Error("want both decisions in the table")
	}
}
