package jwt

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
)

// minted returns a new key, written to a file in dir.
func minted(t testing.TB, dir, name, alg string) *SigningKey {
	t.Helper()
	k, err := GenerateKey(strings.TrimSuffix(name, filepath.Ext(name)), alg)
	must(t, err)
	must(t, k.Write(filepath.Join(dir, name)))
	return k
}

// claims returns valid claims with changes; a nil value removes a claim.
func claims(changes map[string]any) map[string]any {
	c := map[string]any{"iss": "https://idp.example", "aud": "zwsbridge", "sub": "ann", "exp": time.Now().Add(time.Hour).Unix()}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

func signed(t testing.TB, k *SigningKey, changes map[string]any) string {
	t.Helper()
	token, err := k.Sign(claims(changes))
	must(t, err)
	return token
}

// idp returns options for the tokens of signed.
func idp(keys ...string) Options {
	return Options{
		Algorithms: Algorithms, Keys: keys, Issuer: "https://idp.example",
		ResourceServerID: "zwsbridge", ScopePrefix: "zwsbridge.",
	}
}

// TestSigningKeys: a new key of every algorithm can be read back, and its tokens are valid for
// that algorithm only.
func TestSigningKeys(t *testing.T) {
	for _, alg := range Algorithms {
		t.Run(alg, func(t *testing.T) {
			dir := t.TempDir()
			minted(t, dir, "key.pem", alg)
			k, err := ReadSigningKey(filepath.Join(dir, "key.pem"), alg)
			must(t, err)
			token := signed(t, k, nil)
			o := idp(dir)
			o.Algorithms = []string{alg}
			if got := verdict(ask(t, start(t, o, 0), token)); got != "200" {
				t.Errorf("allowed: %s, want 200", got)
			}
			o.Algorithms = []string{"RS256"}
			if alg == "RS256" {
				o.Algorithms = []string{"HS256"}
			}
			if got := verdict(ask(t, start(t, o, 0), token)); got != "400" {
				t.Errorf("not allowed: %s, want 400", got)
			}
		})
	}
}

// TestShape: all file formats give the same key.
func TestShape(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	pkix, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	must(t, err)
	sec1, err := x509.MarshalECPrivateKey(private)
	must(t, err)
	cert, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: private.X}, &x509.Certificate{SerialNumber: private.X}, &private.PublicKey, private)
	must(t, err)
	encode := func(kind string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	k := &SigningKey{"k", "ES256", private}
	token := signed(t, k, nil)
	jwk := jwkOf(t, k)
	set, err := json.Marshal(map[string]any{"keys": []any{jwk}})
	must(t, err)
	one, err := json.Marshal(jwk)
	must(t, err)
	for name, text := range map[string][]byte{
		"public PEM":  encode("PUBLIC KEY", pkix),
		"SEC 1":       encode("EC PRIVATE KEY", sec1),
		"certificate": encode("CERTIFICATE", cert),
		"JWK":         one,
		"JWKS":        set,
		"space":       append([]byte("\n\n"), encode("PUBLIC KEY", pkix)...),
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "k.pem")
			must(t, os.WriteFile(file, text, 0o600))
			if got := verdict(ask(t, start(t, idp(file), 0), token)); got != "200" {
				t.Errorf("%s, want 200", got)
			}
		})
	}
}

// jwkOf returns the public JWK of a key.
func jwkOf(t testing.TB, k *SigningKey) map[string]any {
	t.Helper()
	public := k.private.(*ecdsa.PrivateKey).PublicKey
	raw, err := public.Bytes()
	must(t, err)
	n := (len(raw) - 1) / 2
	return map[string]any{
		"kty": "EC", "crv": public.Params().Name, "kid": k.kid, "alg": k.alg, "use": "sig",
		"x": encodeBase64(raw[1 : 1+n]), "y": encodeBase64(raw[1+n:]),
	}
}

// TestForeignFiles: files in a directory that are not keys stop nothing, and CheckKeys names
// them.
func TestForeignFiles(t *testing.T) {
	for name, text := range map[string]string{
		"README": "Keys of tokens.\n", "empty": "", "keys.json": `{"kty":"XYZ"}`, "cert.csr": "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
	} {
		dir := t.TempDir()
		k := minted(t, dir, "k.pem", "ES256")
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
		ignored, err := CheckKeys(dir, certs.Private{})
		if err != nil || len(ignored) != 1 || !strings.Contains(ignored[0].Error(), filepath.Join(dir, name)) {
			t.Errorf("%s: CheckKeys: %v, %v, want one file ignored", name, ignored, err)
		}
		o := idp(dir)
		o.Logger = slog.New(slog.DiscardHandler)
		if got := verdict(ask(t, start(t, o, 0), signed(t, k, nil))); got != "200" {
			t.Errorf("%s: %s, want 200", name, got)
		}
	}
}

// TestFits: a key is used only with algorithms for its type.
func TestFits(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	for _, c := range []struct {
		material any
		alg      string
		fits     string
	}{
		{ed, "", "EdDSA"},
		{make([]byte, 32), "", "HS256 HS384 HS512"},
		{make([]byte, 32), "HS384", "HS384"},
		{make([]byte, 32), "RS256", ""},
		{ed, "HS256", ""},
	} {
		k, err := newKey("k", c.alg, c.material)
		must(t, err)
		var fits []string
		for _, alg := range append(Algorithms, "none", "", "ES256K") {
			if k.fits(alg) {
				fits = append(fits, alg)
			}
		}
		if got := strings.Join(fits, " "); got != c.fits {
			t.Errorf("%T for %q fits %q, want %q", c.material, c.alg, got, c.fits)
		}
	}
}

// TestDirectory adds, replaces and removes keys.
func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	first := minted(t, dir, "first.pem", "ES256")
	a := start(t, idp(dir), 0)
	changed := make(chan struct{}, 10)
	defer a.OnChange(func() { changed <- struct{}{} })()
	login, err := ask(t, a, signed(t, first, nil))
	if verdict(login, err) != "200" {
		t.Fatalf("%+v, %v", login, err)
	}
	if a.Revoked(login) {
		t.Error("a new login is revoked")
	}

	second := minted(t, t.TempDir(), "second.pem", "ES256")
	token := signed(t, second, nil)
	if got := verdict(ask(t, a, token)); got != "pass" {
		t.Errorf("a key that is not in the directory yet: %s, want pass", got)
	}
	must(t, second.Write(filepath.Join(dir, "second.pem")))
	<-changed
	if got := verdict(ask(t, a, token)); got != "200" {
		t.Errorf("a key that was added: %s, want 200", got)
	}

	must(t, os.WriteFile(filepath.Join(dir, "first.pem.tmp~"), []byte("half a key"), 0o600))
	must(t, os.Remove(filepath.Join(dir, "first.pem")))
	<-changed
	if !a.Revoked(login) {
		t.Error("the login with a removed key is not revoked")
	}
	if got := verdict(ask(t, a, signed(t, first, nil))); got != "pass" {
		t.Errorf("a key that was removed: %s, want pass", got)
	}

	// A file with the same name and another key replaces the key.
	login, err = ask(t, a, token)
	must(t, err)
	third, err := GenerateKey("second", "ES256")
	must(t, err)
	must(t, third.Write(filepath.Join(dir, ".new")))
	must(t, os.Rename(filepath.Join(dir, ".new"), filepath.Join(dir, "second.pem")))
	<-changed
	if !a.Revoked(login) {
		t.Error("the login with a replaced key is not revoked")
	}
	if got := verdict(ask(t, a, token)); got != "400" {
		t.Errorf("a key that was replaced: %s, want 400", got)
	}

	// An invalid file keeps its key and does not affect other files.
	login, err = ask(t, a, signed(t, third, nil))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "second.pem"), []byte("nonsense"), 0o600))
	fourth := minted(t, dir, "fourth.pem", "EdDSA")
	<-changed
	if a.Revoked(login) {
		t.Error("a login is revoked by an invalid file")
	}
	if got := verdict(ask(t, a, signed(t, fourth, nil))); got != "200" {
		t.Errorf("beside a broken file: %s, want 200", got)
	}
}

// TestKid: a token without kid is verified with the default key, or the only one.
func TestKid(t *testing.T) {
	dir := t.TempDir()
	one := minted(t, dir, "one.pem", "ES256")
	one.kid = ""
	anonymous := withoutKid(t, one)
	if got := verdict(ask(t, start(t, idp(dir), 0), anonymous)); got != "200" {
		t.Errorf("the only key: %s, want 200", got)
	}
	two := minted(t, dir, "two.pem", "ES256")
	if got := verdict(ask(t, start(t, idp(dir), 0), anonymous)); got != "pass" {
		t.Errorf("one of two keys: %s, want pass", got)
	}
	o := idp(dir)
	o.DefaultKey = "one"
	a := start(t, o, 0)
	if got := verdict(ask(t, a, anonymous)); got != "200" {
		t.Errorf("the default key: %s, want 200", got)
	}
	if got := verdict(ask(t, a, withoutKid(t, two))); got != "400" {
		t.Errorf("not the default key: %s, want 400", got)
	}
}

// TestIssuers: the keys of an issuer verify only its own tokens.
func TestIssuers(t *testing.T) {
	here, there := t.TempDir(), t.TempDir()
	ours, theirs := minted(t, here, "k.pem", "ES256"), minted(t, there, "k.pem", "ES256")
	other := idp(there)
	other.Issuer = "https://other.example"
	chain, err := zap.NewChain(zap.ChainOptions{Entries: []zap.Entry{
		{Name: "ours", Handler: start(t, idp(here), 0)},
		{Name: "theirs", Handler: start(t, other, 0)},
	}})
	must(t, err)
	defer chain.Close()
	iss := map[string]any{"iss": "https://other.example"}
	for _, c := range []struct{ name, token, want, by string }{
		{"ours", signed(t, ours, nil), "200", "ours"},
		{"theirs", signed(t, theirs, iss), "200", "theirs"},
		{"theirs by our key", signed(t, ours, iss), "400", "theirs"},
		{"ours by their key", signed(t, theirs, nil), "400", "ours"},
		{"of neither", signed(t, ours, map[string]any{"iss": "https://third.example"}), "400", ""},
	} {
		reply, err := ask(t, chain, c.token)
		if verdict(reply, err) != c.want || reply.Authenticator != c.by {
			t.Errorf("%s: %+v, %v, want %s by %q", c.name, reply, err, c.want, c.by)
		}
	}
}
