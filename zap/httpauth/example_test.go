package httpauth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/httpauth"
)

// A service written for RabbitMQ accepts alice and lets her read on the route "devices".
func ExampleClient() {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.PostFormValue("username") != "alice", r.PostFormValue("permission") == "write":
			fmt.Fprint(w, "deny")
		case r.URL.Path == "/auth/user":
			fmt.Fprint(w, "allow monitoring")
		default:
			fmt.Fprint(w, "allow")
		}
	}))
	defer service.Close()

	c, err := httpauth.New(httpauth.Options{
		User:     service.URL + "/auth/user",
		Resource: service.URL + "/auth/resource",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	ctx := context.Background()
	reply := zap.Decide(ctx, c, &zap.Request{
		Domain:      "homes",
		Mechanism:   zap.PLAIN,
		Credentials: [][]byte{[]byte("alice"), []byte("her password")},
	})
	fmt.Println(reply.Status, reply.UserID, reply.Metadata.Get("Tags"))

	access, err := reply.Grants[0].On(ctx, "homes", "devices")
	fmt.Println(access.Read, err)
	fmt.Println(access.Topics.Send(ctx, []byte("house/1")) == nil)
	// Output:
	// 200 alice monitoring
	// true <nil>
	// false
}
