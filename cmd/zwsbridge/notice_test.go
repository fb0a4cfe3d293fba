package main

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/zwsbridge/zwsbridge/zws"
)

// TestTellNotice: notices are lines in plain words.
func TestTellNotice(t *testing.T) {
	for want, n := range map[string]zws.Notice{
		"zwsbridge: 3 messages lost: this end is too slow\n":                                          {Lost: 3},
		"zwsbridge: the login ends in 30s\n":                                                          {Expiring: 30 * time.Second},
		"zwsbridge: no longer subscribed to house/alice/: the login does not allow it any more\n":     {Unsubscribed: []byte("house/alice/")},
		"zwsbridge: no longer subscribed to \"\\x1b[31m\\n\": the login does not allow it any more\n": {Unsubscribed: []byte("\x1b[31m\n")},
		"zwsbridge: no longer subscribed to everything: the login does not allow it any more\n":       {Unsubscribed: []byte{}},
		"": {Renewed: true},
	} {
		var out strings.Builder
		cmd := &cobra.Command{}
		cmd.SetErr(&out)
		if tellNotice(cmd, n); out.String() != want {
			t.Errorf("%+v: %q, want %q", n, out.String(), want)
		}
	}
}
