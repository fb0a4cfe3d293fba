package bridge_test

import (
	"testing"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// BenchmarkLogin measures a whole login with PLAIN, from the TCP connection to READY and the close,
// with the reply of the ZAP chain from its cache. Client and bridge share the machine.
func BenchmarkLogin(b *testing.B) {
	url, _ := start(b, `
[server]
max_connections = 100000
[zap]
cache = "1h"
chain = [ { authn = "users" } ]
[auth.users]
type = "htpasswd"
file = "users.htpasswd"
`+routeTo("/d", "SUB", silent(b, zmtp.PUB)))
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			c, err := dial(b.Context(), url+"/d", "alice", zmtp.SUB)
			if err != nil {
				b.Error(err)
				return
			}
			c.Close()
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "logins/s")
}
