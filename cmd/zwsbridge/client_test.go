package main

import (
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zws"
)

func TestPrintNotification(t *testing.T) {
	for want, n := range map[string]zws.Notification{
		"zwsbridge: 3 messages lost: this client is too slow\n":                           {Lost: 3},
		"zwsbridge: the login expires in 30s\n":                                           {Expiring: 30 * time.Second},
		"zwsbridge: unsubscribed from house/alice/: the login no longer permits it\n":     {Unsubscribed: []byte("house/alice/")},
		"zwsbridge: unsubscribed from \"\\x1b[31m\\n\": the login no longer permits it\n": {Unsubscribed: []byte("\x1b[31m\n")},
		"zwsbridge: unsubscribed from all topics: the login no longer permits it\n":       {Unsubscribed: []byte{}},
		"": {Renewed: true},
	} {
		var out strings.Builder
		if printNotification(&out, n); out.String() != want {
			t.Errorf("%+v: %q, want %q", n, out.String(), want)
		}
	}
}
