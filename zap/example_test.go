package zap_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/anonymous"
	"github.com/zwsbridge/zwsbridge/zap/ip"
)

// A chain that asks its own handler first, accepts its users from the local network only, and
// in the domain "lobby" accepts peers without credentials as guests.
func ExampleChain() {
	residents := zap.HandlerFunc(func(_ context.Context, req *zap.Request) (*zap.Reply, error) {
		user, password, ok := req.Plain()
		switch {
		case !ok || user != "ada":
			return nil, zap.Pass("not a resident")
		case password != "lovelace":
			return &zap.Reply{Status: zap.Refused, Text: "wrong password"}, nil
		}
		return &zap.Reply{Status: zap.OK, UserID: user}, nil
	})
	lan, err := ip.New(ip.Options{Allow: []string{"10.0.0.0/8"}})
	if err != nil {
		panic(err)
	}
	chain, err := zap.NewChain(zap.ChainOptions{
		Entries: []zap.Entry{
			{Name: "residents", Handler: residents, Authz: []zap.Authorizer{lan}},
			{Name: "guests", Handler: anonymous.New(), Domains: []string{"lobby"}},
		},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		panic(err)
	}
	defer chain.Close()

	login := func(domain, address string, m zap.Mechanism, credentials ...[]byte) {
		reply := zap.Decide(context.Background(), chain, &zap.Request{
			Domain: domain, Address: address, Mechanism: m, Credentials: credentials,
		})
		fmt.Printf("%d %q decided by %q\n", reply.Status, reply.UserID, reply.Authenticator)
	}
	login("global", "10.1.2.3", zap.PLAIN, []byte("ada"), []byte("lovelace"))
	login("global", "10.1.2.3", zap.PLAIN, []byte("ada"), []byte("byron"))
	login("global", "192.0.2.1", zap.PLAIN, []byte("ada"), []byte("lovelace"))
	login("lobby", "192.0.2.1", zap.NULL)
	login("global", "192.0.2.1", zap.NULL)
	// Output:
	// 200 "ada" decided by "residents"
	// 400 "" decided by "residents"
	// 400 "" decided by "residents"
	// 200 "" decided by "guests"
	// 400 "" decided by ""
}

// The frames of a request as a REP socket receives them, and those of the reply to send.
func ExampleParseRequest() {
	received := [][]byte{
		[]byte("1.0"), []byte("0001"), []byte("test"), []byte("192.168.55.1"), []byte("BOB"),
		[]byte("PLAIN"), []byte("admin"), []byte("secret"),
	}
	req, err := zap.ParseRequest(received)
	if err != nil {
		panic(err)
	}
	user, _, _ := req.Plain()
	fmt.Println(req.Mechanism, user, "from", req.Address)

	reply := &zap.Reply{Status: zap.OK, Text: "OK", UserID: user}
	frames, err := reply.Frames(req.ID)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%q\n", frames)
	// Output:
	// PLAIN admin from 192.168.55.1
	// ["1.0" "0001" "200" "OK" "admin" ""]
}
