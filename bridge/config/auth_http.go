package config

import (
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/httpauth"
)

func init() {
	registerAuth("http", func() AuthKind {
		return &HTTP{Method: "POST", Timeout: httpauth.DefaultTimeout, Cache: new(15 * time.Second)}
	})
}

// HTTP is type = "http": an HTTP service with the contract of RabbitMQ's
// rabbitmq_auth_backend_http.
type HTTP struct {
	Method       string         `toml:"method"` // "POST" (default) or "GET"
	UserPath     string         `toml:"user_path"`
	VhostPath    string         `toml:"vhost_path"`
	ResourcePath string         `toml:"resource_path"`
	TopicPath    string         `toml:"topic_path"`
	Timeout      time.Duration  `toml:"timeout"`
	Cache        *time.Duration `toml:"cache"` // how long answers on resources and topics are reused; nil means 15 s, 0 not at all
	CA           Path           `toml:"ca"`
	Cert         Path           `toml:"cert"`
	Key          Path           `toml:"key"`
}

func (*HTTP) decides() []zap.Mechanism { return []zap.Mechanism{zap.PLAIN} }

// Secrets implements [AuthKind].
func (s *HTTP) Secrets() []Secret { return []Secret{{"key", s.Key}} }

// Fingerprint implements [AuthKind].
func (s *HTTP) Fingerprint() string { return fingerprint(s, s.CA, s.Cert, s.Key) }

func (*HTTP) authorizes() {}

func (s *HTTP) validate(c *checker, key string) {
	c.oneOf(key+".method", s.Method, []string{"POST", "GET"})
	for _, u := range []struct{ name, text string }{
		{"user_path", s.UserPath}, {"vhost_path", s.VhostPath},
		{"resource_path", s.ResourcePath}, {"topic_path", s.TopicPath},
	} {
		if u.text != "" {
			c.url(joinKey(key, u.name), u.text, "https", "http")
			c.plainHTTP(joinKey(key, u.name), u.text, "passwords can be read, and answers forged, on the way")
		}
	}
	if s.UserPath == "" && c.authenticates(key) {
		c.fault(key, "has no user_path, which an authn of zap.chain needs: want the URL that judges a name and a password")
	}
	if s.VhostPath == "" && s.ResourcePath == "" && s.TopicPath == "" && !c.authenticates(key) {
		c.fault(key, "has nothing to ask: want vhost_path, resource_path or topic_path")
	}
	if s.Method == "GET" {
		c.warn(key+".method", "GET puts passwords into URLs, which servers log")
	}
	c.positive(key+".timeout", s.Timeout)
	c.clientTLS(key, s.CA, s.Cert, s.Key)
}
