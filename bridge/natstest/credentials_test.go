package natstest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// newKey returns a pair of keys and the name of the public one.
func newKey(t *testing.T, create func() (nkeys.KeyPair, error)) (pair nkeys.KeyPair, public string) {
	t.Helper()
	pair, err := create()
	if err != nil {
		t.Fatal(err)
	}
	if public, err = pair.PublicKey(); err != nil {
		t.Fatal(err)
	}
	return pair, public
}

// signed returns the token of claims.
func signed(t *testing.T, claims jwt.Claims, signer nkeys.KeyPair) string {
	t.Helper()
	token, err := claims.Encode(signer)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// credentials returns the content of a .creds file of a new user, whom signer has signed.
func credentials(t *testing.T, signer nkeys.KeyPair) []byte {
	t.Helper()
	user, public := newKey(t, nkeys.CreateUser)
	seed, err := user.Seed()
	if err != nil {
		t.Fatal(err)
	}
	content, err := jwt.FormatUserConfig(signed(t, jwt.NewUserClaims(public), signer), seed)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// TestCredentials: NATS is reached with the credentials of a user whose account an operator has signed.
// The log says that those of another account are refused, and corrected ones are used without a restart.
func TestCredentials(t *testing.T) {
	operator, operatorName := newKey(t, nkeys.CreateOperator)
	account, accountName := newKey(t, nkeys.CreateAccount)
	other, _ := newKey(t, nkeys.CreateAccount)
	trusted, err := jwt.DecodeOperatorClaims(signed(t, jwt.NewOperatorClaims(operatorName), operator))
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.NewAccountClaims(accountName)
	claims.Limits.JetStreamLimits = jwt.JetStreamLimits{
		MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit,
	}
	_, systemName := newKey(t, nkeys.CreateAccount)
	known := &server.MemAccResolver{}
	for _, c := range []*jwt.AccountClaims{claims, jwt.NewAccountClaims(systemName)} {
		if err := known.Store(c.Subject, signed(t, c, operator)); err != nil {
			t.Fatal(err)
		}
	}
	s := serveNATS(t, server.Options{
		JetStream: true, StoreDir: t.TempDir(),
		TrustedOperators: []*jwt.OperatorClaims{trusted}, AccountResolver: known, SystemAccount: systemName,
	})
	file := filepath.Join(t.TempDir(), "bridge.creds")
	write := func(signer nkeys.KeyPair) {
		if err := os.WriteFile(file, credentials(t, signer), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(other)
	text := configuration(&natsServer{process: &process{first: s.ClientURL()}}, startPress(t), "")
	b := startBridge(t, strings.Replace(text, "lease =", "credentials = \""+file+"\"\nlease =", 1))
	waitError(t, b, "Authorization Violation")
	write(account)
	eventually(t, "the bridge leads", b.leads)
}
