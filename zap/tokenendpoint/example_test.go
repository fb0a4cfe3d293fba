package tokenendpoint_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/tokenendpoint"
)

// An application's endpoint knows whose token it is.
func ExampleClient() {
	application := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("token") != "a.good.token" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		fmt.Fprint(w, `{"userID": "alice"}`)
	}))
	defer application.Close()

	c, err := tokenendpoint.New(tokenendpoint.Options{URL: application.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	for _, token := range []string{"a.good.token", "a.bad.token", "no token"} {
		reply := zap.Decide(context.Background(), c, &zap.Request{
			Domain:      "chat",
			Mechanism:   zap.BEARER,
			Credentials: [][]byte{[]byte(token)},
		})
		fmt.Printf("%d %q\n", reply.Status, reply.UserID)
	}
	// Output:
	// 200 "alice"
	// 400 ""
	// 400 ""
}
