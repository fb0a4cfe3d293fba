package zmtp

import (
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
)

// TestNewServerErrors checks that an incomplete configuration makes no server.
func TestNewServerErrors(t *testing.T) {
	handler := zap.HandlerFunc(accept)
	public, secret := testKeys(t)
	other, _ := testKeys(t)
	long := zap.Metadata{{Name: strings.Repeat("x", 256)}}
	cases := []struct {
		name string
		m    zap.Mechanism
		s    ServerSecurity
		want string
	}{
		{"no handler", zap.NULL, ServerSecurity{Domain: "d"}, "without a ZAP handler"},
		{"no domain", zap.PLAIN, ServerSecurity{Handler: handler}, "without a ZAP domain"},
		{"no mechanism", "", ServerSecurity{Handler: handler, Domain: "d"}, "unknown mechanism"},
		{"TLS", zap.TLS, ServerSecurity{Handler: handler, Domain: "d"}, "unknown mechanism"},
		{"lower case", "plain", ServerSecurity{Handler: handler, Domain: "d"}, "unknown mechanism"},
		{"CURVE without keys", zap.CURVE, ServerSecurity{Handler: handler, Domain: "d"}, "does not belong"},
		{"CURVE with the key of another", zap.CURVE, ServerSecurity{Handler: handler, Domain: "d", CurvePublic: other, CurveSecret: secret}, "does not belong"},
		{"metadata name", zap.CURVE, ServerSecurity{Handler: handler, Domain: "d", CurvePublic: public, CurveSecret: secret, Local: long}, "256 bytes"},
		{"too many properties", zap.NULL, ServerSecurity{Handler: handler, Domain: "d", Local: make(zap.Metadata, zap.MaxProperties+1)}, "65"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := NewServer(c.m, c.s)
			if got != nil || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v; want an error with %q", got, err, c.want)
			}
		})
	}
}

// TestNewClientErrors checks which credentials and metadata cannot be sent.
func TestNewClientErrors(t *testing.T) {
	public, secret := testKeys(t)
	other, _ := testKeys(t)
	cases := []struct {
		name  string
		c     ClientSecurity
		local zap.Metadata
		want  string // part of the error; empty: there is none
	}{
		{"user name of 255", Plain{User: strings.Repeat("u", 255)}, nil, ""},
		{"user name of 256", Plain{User: strings.Repeat("u", 256)}, nil, "user name of 256 bytes"},
		{"password of 255", Plain{Password: strings.Repeat("p", 255)}, nil, ""},
		{"password of 256", Plain{Password: strings.Repeat("p", 256)}, nil, "password of 256 bytes"},
		{"empty token", Bearer{}, nil, "without a token"},
		{"long token", Bearer{Token: strings.Repeat("t", 10000)}, nil, ""},
		{"no keys", Curve{ServerKey: other}, nil, "does not belong"},
		{"public key of another", Curve{Public: other, Secret: secret, ServerKey: other}, nil, "does not belong"},
		{"no server key", Curve{Public: public, Secret: secret}, nil, "the server key is not a usable public key"},
		{"server key of low order", Curve{Public: public, Secret: secret, ServerKey: [32]byte{1}}, nil, "the server key is not a usable public key"},
		{"no randomness", Curve{Public: public, Secret: secret, ServerKey: other, Rand: strings.NewReader("short")}, nil, "transient key"},
		{"empty metadata name", Null{}, zap.Metadata{{Value: "x"}}, "name"},
		{"metadata name of 255", Null{}, zap.Metadata{{Name: strings.Repeat("n", 255)}}, ""},
		{"metadata name of 256", Plain{}, zap.Metadata{{Name: strings.Repeat("n", 256)}}, "256 bytes"},
		{"CURVE metadata name", Curve{Public: public, Secret: secret, ServerKey: other}, zap.Metadata{{}}, "0 bytes"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.c.NewClient(c.local)
			if c.want == "" {
				if got == nil || err != nil {
					t.Errorf("got %v, %v", got, err)
				}
				return
			}
			if got != nil || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v; want an error with %q", got, err, c.want)
			}
			if strings.Contains(err.Error(), "uuuu") || strings.Contains(err.Error(), "pppp") {
				t.Errorf("the error contains the credentials: %v", err)
			}
		})
	}
}
