package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap/jwt"
)

// folder reports a folder that is not there.
func (c *checker) folder(key string, p Path) {
	info, err := os.Stat(string(p))
	switch {
	case err != nil:
		c.fault(key, "%s", reason(err))
	case !info.IsDir():
		c.fault(key, "%s is a file: want a folder", p)
	}
}

// keys reports a file or folder of token keys that cannot be used.
func (c *checker) keys(key string, p Path) {
	if err := jwt.CheckKeys(string(p)); err != nil {
		c.fault(key, "%s", reason(err))
	}
}

// exists tells whether a file or folder is there. Of one that is not it warns only:
// [Config.MakeMissing] will make it, empty.
func (c *checker) exists(key string, p Path, use string) bool {
	if p == "" {
		return false
	}
	_, err := os.Stat(string(p))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.warn(key, "%s is not there yet, so nobody can log in by it: serve makes it, empty; %s", p, use)
	case err != nil:
		c.fault(key, "%s", reason(err))
	}
	return err == nil
}

// secretFile reports a file with a secret that is not there, or that others may read.
func (c *checker) secretFile(key string, p Path) {
	if p == "" {
		return
	}
	info, err := os.Stat(string(p))
	switch {
	case err != nil:
		c.fault(key, "%s", reason(err))
	case info.IsDir():
		c.fault(key, "%s is a folder: want a file", p)
	case info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows":
		c.fault(key, "%s holds a secret and has mode %04o, so others may read it: want 0600", p, info.Mode().Perm())
	}
}

// hashes warns of a file of password hashes that everybody may read, and guess at.
func (c *checker) hashes(key string, p Path) {
	info, err := os.Stat(string(p))
	if err == nil && info.Mode().Perm()&0o004 != 0 && runtime.GOOS != "windows" {
		c.warn(key, "%s has mode %04o, so everybody on this machine may read the password hashes: want 0600", p, info.Mode().Perm())
	}
}

// secretCert reports a CURVE certificate whose secret half cannot be used.
func (c *checker) secretCert(key string, p Path) {
	switch _, err := certs.ReadSecret(string(p)); {
	case errors.Is(err, fs.ErrNotExist):
		c.fault(key, "%s: make the certificate with zwsbridge keygen", reason(err))
	case err != nil:
		c.fault(key, "%s", reason(err))
	}
}

// pair reports a TLS certificate and key that cannot be used.
func (c *checker) pair(key string, cert, private Path) {
	if cert == "" || private == "" {
		return
	}
	if _, err := certs.LoadPair(string(cert), string(private)); err != nil {
		c.fault(key, "%s", reason(err))
	}
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

// certExists tells whether there is a CURVE certificate with its secret half.
func certExists(p Path) bool {
	if p == "" {
		return false
	}
	_, err := os.Stat(string(p) + certs.SecretSuffix)
	return err == nil
}

// secrets reports a static folder that would publish a secret.
func (c *checker) secrets() {
	if c.Server.Static == "" {
		return
	}
	static := realPath(string(c.Server.Static))
	for _, s := range c.secretPaths() {
		if s.path == "" {
			continue
		}
		// Where a user name stands in it, everything beside it counts.
		fixed, _, varies := strings.Cut(string(s.path), "{")
		if varies {
			fixed = filepath.Dir(fixed + "x")
		}
		if within(static, realPath(fixed)) {
			c.fault("server.static", "%s would publish the secret of %s: want a folder that holds no secret", c.Server.Static, s.key)
		}
	}
	if within(static, realPath(filepath.Join(c.Dir, filepath.Base(c.File)))) {
		c.warn("server.static", "%s publishes this very configuration file", c.Server.Static)
	}
}

// secretPath is a file or folder that holds a secret, and the key that names it.
type secretPath struct {
	key  string
	path Path
}

func (c *checker) secretPaths() []secretPath {
	s := &c.Server
	all := []secretPath{
		{"server.key", s.Key},
		{"server.acme_cache", s.ACMECache},
		{"admin.token_file", c.Admin.TokenFile},
		{"admin.oidc_client_secret_file", c.Admin.OIDCClientSecretFile},
	}
	curve := func(key string, p Path) {
		if p != "" {
			all = append(all, secretPath{key, p + certs.SecretSuffix})
		}
	}
	curve("server.curve_cert", s.CurveCert)
	if s.TLS == TLSSelfSigned {
		all = append(all, secretPath{"server.tls", Path(c.SelfSignedDir())})
	}
	for i := range c.Routes {
		r, key := &c.Routes[i], entry("route", i)
		all = append(all, secretPath{key + ".password_file", r.PasswordFile})
		curve(key+".cert", r.Cert)
	}
	for name, a := range c.Auth {
		key := joinKey("auth", name)
		switch a := a.Settings.(type) {
		case *Htpasswd:
			all = append(all, secretPath{key + ".file", a.File})
		case *Remote:
			curve(key+".cert", a.Cert)
		case *JWT:
			for i, p := range a.Keys {
				all = append(all, secretPath{entry(key+".keys", i), p})
			}
		case *HTTP:
			all = append(all, secretPath{key + ".key", a.Key})
		case *TokenEndpoint:
			all = append(all, secretPath{key + ".key", a.Key}, secretPath{key + ".store", a.Store})
		}
	}
	return all
}

// realPath follows symbolic links as far as the path exists.
func realPath(path string) string {
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

// within tells whether path is dir or below it.
func within(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}
