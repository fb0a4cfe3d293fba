package config

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/zwsbridge/zwsbridge/certs"
)

// directory reports a directory that does not exist.
func (c *checker) directory(key string, p Path) {
	info, err := os.Stat(string(p))
	switch {
	case err != nil:
		c.fault(key, "%s", reason(err))
	case !info.IsDir():
		c.fault(key, "%s is a file: want a directory", p)
	}
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
		c.fault(key, "%s", reason(err))
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
		c.fault(key, "%s", reason(err))
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
	case errors.Is(err, fs.ErrNotExist):
		c.fault(key, "%s: create the certificate with zwsbridge keygen", reason(err))
	case err != nil:
		c.fault(key, "%s", reason(err))
	default:
		c.openFile(key, string(p)+certs.SecretSuffix)
	}
}

// pair reports a TLS certificate and key that cannot be used.
func (c *checker) pair(key string, cert, private Path) {
	if cert == "" || private == "" {
		return
	}
	if _, err := c.Server.Private().Pair(string(cert), string(private)); err != nil {
		c.fault(key, "%s", reason(err))
		return
	}
	c.openFile(key, string(private))
}

// roots reports a file without certificates of authorities.
func (c *checker) roots(key string, p Path) {
	if p == "" {
		return
	}
	if _, err := certs.Roots(string(p)); err != nil {
		c.fault(key, "%s", reason(err))
	}
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
