package jwt_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/jwt"
)

// Verify a token and ask what it permits on a route.
func Example() {
	dir, err := os.MkdirTemp("", "keys")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	key, err := jwt.GenerateKey("dev", "ES256")
	if err != nil {
		panic(err)
	}
	if err := key.Write(filepath.Join(dir, "dev.pem")); err != nil {
		panic(err)
	}
	token, err := key.Sign(map[string]any{
		"iss": "https://login.example", "aud": "zwsbridge", "sub": "ann",
		"exp": time.Now().Add(time.Hour).Unix(), "scope": "zwsbridge.read:global/devices/house.*",
	})
	if err != nil {
		panic(err)
	}

	a, err := jwt.New(jwt.Options{
		Algorithms:       []string{"ES256"},
		Keys:             []string{dir},
		Issuer:           "https://login.example",
		ResourceServerID: "zwsbridge",
		ScopePrefix:      "zwsbridge.",
	})
	if err != nil {
		panic(err)
	}
	defer a.Close()
	reply := zap.Decide(context.Background(), a, &zap.Request{
		Domain: "global", Mechanism: zap.BEARER, Credentials: [][]byte{[]byte(token)},
	})
	access, err := reply.Grants[0].On(context.Background(), "global", "devices")
	if err != nil {
		panic(err)
	}
	fmt.Println(reply.Status, reply.UserID, access.Read, access.Receive, access.Write)
	// Output: 200 ann true [house.*] false
}
