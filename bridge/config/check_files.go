package config

import (
	"encoding/pem"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/zwsbridge/zwsbridge/certs"
)

// directory reports a directory that does not exist.
func (c *checker) directory(key string, p Path) {
	info, err := os.Stat(string(p))
	switch {
	case err != nil:
		c.fault(key, "%s", unusable(err))
	case !info.IsDir():
		c.fault(key, "%s is a file: want a directory", p)
	}
}

// unusable returns the reason why a file or directory cannot be used, and what to do.
func unusable(err error) string {
	text := reason(err)
	var file *fs.PathError
	switch {
	case !errors.As(err, &file): // about what is in it
	case errors.Is(err, fs.ErrNotExist):
		text += ": create it, or correct the path"
	case errors.Is(err, fs.ErrPermission):
		text += ": want one that the user who runs the bridge can read"
	case errors.Is(err, syscall.EISDIR):
		text += ": want a file"
	case errors.Is(err, syscall.ENOTDIR):
		text += ": want directories in the path before the last name"
	default:
		text += ": want one that can be read"
	}
	return text
}

// makeable reports a directory that serve cannot create, since it is, or is below, a file.
func (c *checker) makeable(key string, p Path) {
	for dir := filepath.Clean(string(p)); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err == nil && !info.IsDir() {
			c.fault(key, "%s is a file: want a directory", dir)
		}
		if err == nil || dir == filepath.Dir(dir) {
			return
		}
	}
}

// exists reports whether a file or directory exists. If not it only warns:
// [Config.MakeMissing] will create it.
func (c *checker) exists(key string, p Path, use string) bool {
	if p == "" {
		return false
	}
	_, err := os.Stat(string(p))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.warn(key, "%s does not exist yet, so nobody can log in by it: serve creates it, empty; %s", p, use)
	case err != nil:
		c.fault(key, "%s", unusable(err))
	}
	return err == nil
}

// secretFile reports a file with a secret that does not exist or whose mode is refused.
func (c *checker) secretFile(key string, p Path) {
	if p == "" {
		return
	}
	info, err := os.Stat(string(p))
	switch {
	case err != nil:
		c.fault(key, "%s", unusable(err))
	case info.IsDir():
		c.fault(key, "%s is a directory: want a file", p)
	default:
		c.fileMode(key, string(p), info)
	}
}

// fileMode reports a file with a secret whose mode is refused, and warns of one that only
// server.insecure_file_modes lets in.
func (c *checker) fileMode(key, file string, info fs.FileInfo) {
	if err := c.Server.Private().Check(file, info); err != nil {
		c.fault(key, "%v", err)
	} else if err := (certs.Private{}).Check(file, info); err != nil {
		c.warn(key, "%v; accepted because of server.insecure_file_modes", err)
	}
}

// openFile warns of a file with a secret that only server.insecure_file_modes lets in.
func (c *checker) openFile(key, file string) {
	if info, err := os.Stat(file); err == nil && c.Server.InsecureFileModes {
		c.fileMode(key, file, info)
	}
}

// readableHashes warns of a file of password hashes that everybody can read and try to guess.
func (c *checker) readableHashes(key string, p Path) {
	info, err := os.Stat(string(p))
	if err == nil && info.Mode().Perm()&0o004 != 0 && runtime.GOOS != "windows" {
		c.warn(key, "%s has mode %04o, so every user of this machine can read the password hashes: want 0600", p, info.Mode().Perm())
	}
}

// secretCert reports a CURVE certificate whose secret half cannot be used.
func (c *checker) secretCert(key string, p Path) {
	switch _, err := c.Server.Private().Certificate(string(p)); {
	case errors.Is(err, fs.ErrNotExist) && strings.HasSuffix(string(p), certs.SecretSuffix):
		c.fault(key, "is %s: want it without %s, which the bridge adds itself", p, certs.SecretSuffix)
	case errors.Is(err, fs.ErrNotExist):
		c.fault(key, "%s: create the certificate with zwsbridge keygen %s", reason(err), p)
	case err != nil:
		c.fault(key, "%s", unusable(err))
	default:
		c.openFile(key, string(p)+certs.SecretSuffix)
	}
}

// pair reports the keys cert and key of table if that TLS certificate and its key cannot be used,
// and warns of a certificate that is not valid at present.
func (c *checker) pair(table string, cert, private Path) {
	if cert == "" || private == "" || c.swapped(table, cert, private) {
		return
	}
	pair, err := c.Server.Private().Pair(string(cert), string(private))
	if err != nil {
		c.fault(table+pairKey(err, private), "%s", pairFault(err))
		return
	}
	c.openFile(table+".key", string(private))
	switch now := time.Now(); {
	case now.After(pair.Leaf.NotAfter):
		c.warn(table+".cert", "%s has expired on %s, so peers refuse it: renew it", cert, pair.Leaf.NotAfter.Format(time.DateOnly))
	case now.Before(pair.Leaf.NotBefore):
		c.warn(table+".cert", "%s is not valid before %s, so peers refuse it: wait, or set the clock", cert, pair.Leaf.NotBefore.Format(time.DateTime))
	}
}

// swapped reports files of a TLS certificate and its key that hold the other one.
func (c *checker) swapped(table string, cert, private Path) bool {
	certInCert, keyInCert := pemKinds(cert)
	certInKey, keyInKey := pemKinds(private)
	if keyInCert && !certInCert {
		c.fault(table+".cert", "%s holds a private key and no certificate: want the certificate here and its key in %s.key", cert, table)
		return true
	}
	if certInKey && !keyInKey {
		c.fault(table+".key", "%s holds a certificate and no private key: want the key of %s.cert here", private, table)
		return true
	}
	return false
}

// pemKinds reports whether a PEM file has certificates and private keys. A file that cannot be
// read has none.
func pemKinds(p Path) (certificate, key bool) {
	text, err := certs.Private{AnyMode: true}.Read(string(p), maxConfig)
	if err != nil {
		return false, false
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		certificate = certificate || block.Type == "CERTIFICATE"
		key = key || strings.HasSuffix(block.Type, "PRIVATE KEY")
	}
	return certificate, key
}

// pairKey returns which key of a table an error about a TLS certificate and its key is about.
func pairKey(err error, private Path) string {
	var file *fs.PathError
	var mode *certs.PermissionError
	if errors.As(err, &mode) || errors.As(err, &file) && file.Path == string(private) {
		return ".key"
	}
	return ".cert"
}

// pairFault returns what is wrong with a TLS certificate and its key.
func pairFault(err error) string {
	text := strings.Replace(unusable(err), ": tls: ", ": ", 1)
	switch {
	case strings.Contains(text, "does not match"):
		text += ": want the key that the certificate was made for"
	case strings.Contains(text, "PEM"):
		text += ": want PEM, as certbot and openssl write it"
	}
	return text
}

// roots reports a file without certificates of authorities.
func (c *checker) roots(key string, p Path) {
	if p == "" {
		return
	}
	_, err := certs.Roots(string(p))
	if err == nil {
		return
	}
	text := unusable(err)
	if strings.Contains(text, "PEM") {
		text += ": want the certificates of authorities in PEM"
	}
	c.fault(key, "%s", text)
}

// certExists reports whether there is a CURVE certificate with its secret half.
func certExists(p Path) bool {
	if p == "" {
		return false
	}
	_, err := os.Stat(string(p) + certs.SecretSuffix)
	return err == nil
}

// secrets reports a static directory that would publish a secret.
func (c *checker) secrets() {
	if c.Server.Static == "" {
		return
	}
	static := realPath(string(c.Server.Static))
	for _, s := range c.allSecrets() {
		if s.Path == "" {
			continue
		}
		// Where the path depends on the user, everything beside it counts.
		fixed, _, varies := strings.Cut(string(s.Path), "{")
		if varies {
			fixed = filepath.Dir(fixed + "x")
		}
		if within(static, realPath(fixed)) {
			c.fault("server.static", "%s would publish the secret of %s: want a directory without secrets", c.Server.Static, s.Key)
		}
	}
	if c.File != "" && within(static, realPath(filepath.Join(c.Dir, filepath.Base(c.File)))) {
		c.warn("server.static", "%s publishes this configuration file", c.Server.Static)
	}
}

// allSecrets returns the secrets of all tables, with their full keys.
func (c *checker) allSecrets() []Secret {
	s := &c.Server
	all := []Secret{
		{"server.key", s.Key},
		{"server.acme_cache", s.ACMECache},
		{"admin.token_file", c.Admin.TokenFile},
		{"admin.oidc_client_secret_file", c.Admin.OIDCClientSecretFile},
		curveSecret("server.curve_cert", s.CurveCert),
		{"history.nats.credentials", c.History.NATS.Credentials},
		{"history.nats.password_file", c.History.NATS.PasswordFile},
		{"history.nats.key", c.History.NATS.Key},
	}
	if s.TLS == TLSSelfSigned {
		all = append(all, Secret{"server.tls", Path(c.SelfSignedDir())})
	}
	for i := range c.Routes {
		r, key := &c.Routes[i], entry("route", i)
		all = append(all, Secret{key + ".password_file", r.PasswordFile}, curveSecret(key+".cert", r.Cert))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Auth)) {
		if settings := c.Auth[name].Settings; settings != nil {
			for _, secret := range settings.Secrets() {
				all = append(all, Secret{joinKey("auth", name) + "." + secret.Key, secret.Path})
			}
		}
	}
	return all
}

// realPath returns path, absolute and with symbolic links followed as far as it exists.
func realPath(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	rest := ""
	for dir := filepath.Clean(path); ; {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			return filepath.Join(real, rest)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return path
		}
		rest = filepath.Join(filepath.Base(dir), rest)
		dir = parent
	}
}

// within reports whether path is dir or below it.
func within(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}
