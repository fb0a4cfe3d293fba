package jwt

import (
	"log/slog"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

// BenchmarkAuthenticate verifies a token with a known key, for each kind of signature.
func BenchmarkAuthenticate(b *testing.B) {
	for _, alg := range []string{"HS256", "RS256", "PS256", "ES256", "EdDSA"} {
		b.Run(alg, func(b *testing.B) {
			a, req := benchmark(b, alg)
			for b.Loop() {
				if reply, err := a.Authenticate(b.Context(), req); err != nil || reply.Status != zap.OK {
					b.Fatal(reply, err)
				}
			}
		})
	}
}

// BenchmarkChainCached is a login whose reply is in the chain's cache.
func BenchmarkChainCached(b *testing.B) {
	a, req := benchmark(b, "ES256")
	chain, err := zap.NewChain(zap.ChainOptions{
		Entries: []zap.Entry{{Name: "sso", Handler: a}},
		Cache:   zap.CacheOptions{TTL: time.Hour},
		Logger:  slog.New(slog.DiscardHandler),
	})
	must(b, err)
	defer chain.Close()
	for b.Loop() {
		if reply, err := chain.Authenticate(b.Context(), req); err != nil || reply.Status != zap.OK {
			b.Fatal(reply, err)
		}
	}
}

// BenchmarkRights evaluates 20 scopes for a route.
func BenchmarkRights(b *testing.B) {
	var scopes []string
	for i := range 20 {
		scopes = append(scopes, "read:global/devices/house."+string(rune('a'+i))+".*")
	}
	p := rights(false, scopes...)
	for b.Loop() {
		if a := access(b, p, "global", "devices"); len(a.Receive) != 20 {
			b.Fatal(a)
		}
	}
}

// BenchmarkRefused is a token with a known key and a bad signature.
func BenchmarkRefused(b *testing.B) {
	a, req := benchmark(b, "ES256")
	token := req.Credentials[0]
	token[len(token)-10] ^= 3
	for b.Loop() {
		if reply, err := a.Authenticate(b.Context(), req); err != nil || reply.Status != zap.Refused {
			b.Fatal(reply, err)
		}
	}
}

func benchmark(b *testing.B, alg string) (*Authenticator, *zap.Request) {
	dir := b.TempDir()
	token := signed(b, minted(b, dir, "k.json", alg), map[string]any{
		"scope": "zwsbridge.read:global/devices/house.* zwsbridge.write:global/commands zwsbridge.tag:monitoring openid",
	})
	return start(b, idp(dir), 0), &zap.Request{Domain: "global", Mechanism: zap.BEARER, Credentials: [][]byte{[]byte(token)}}
}
