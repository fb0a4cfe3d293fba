package httpauth

import (
	"testing"
	"time"
)

// BenchmarkSendRemembered is a message whose topic is in the cache: two lookups.
func BenchmarkSendRemembered(b *testing.B) {
	o := serve(b, always("allow")).options()
	o.Cache = time.Hour
	devices := rightsOn(b, open(b, o), "devices").Topics
	topic := []byte("house/alice/kitchen/temperature")
	b.ReportAllocs()
	for b.Loop() {
		if err := devices.Send(b.Context(), topic); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLogin is a login without a cache: two requests to a service on this machine.
func BenchmarkLogin(b *testing.B) {
	c := open(b, serve(b, always("allow")).options())
	req := plain("alice", "pw", "house")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.Authenticate(b.Context(), req); err != nil {
				b.Fatal(err)
			}
		}
	})
}
