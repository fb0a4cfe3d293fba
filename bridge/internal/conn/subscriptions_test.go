package conn

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/zwsbridge/zwsbridge/bridge/internal/rights"
)

// TestReplaceBytes grants, narrows and cancels subscriptions at random. The bytes that the
// changes report add up to those of the topics upstream, each of which counts once, and upstream
// is subscribed to exactly these.
func TestReplaceBytes(t *testing.T) {
	prefixes := make([][]byte, 12)
	for i := range prefixes {
		prefixes[i] = fmt.Appendf(nil, "%-*d", i+1, i)
	}
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 1))
		var s subscriptions
		bytes := int64(0)
		upstream := make(map[string]bool)
		for range 300 {
			topic := fmt.Sprint(r.IntN(2 * fewTopics))
			granted := rights.Allowed{Filter: r.IntN(20) == 0}
			if r.IntN(4) > 0 {
				for _, i := range r.Perm(len(prefixes))[:1+r.IntN(4)] {
					granted.Prefixes = append(granted.Prefixes, prefixes[i])
				}
			}
			c := s.replace(topic, granted)
			bytes += c.bytes
			for _, p := range c.subscribe {
				upstream[string(p)] = true
			}
			for _, p := range c.unsubscribe {
				delete(upstream, string(p))
			}
			want := make(map[string]bool)
			sum := int64(0)
			for _, granted := range s.topics.all {
				for _, p := range granted {
					if !want[string(p)] {
						want[string(p)] = true
						sum += int64(len(p))
					}
				}
			}
			if bytes != sum || fmt.Sprint(upstream) != fmt.Sprint(want) {
				t.Fatalf("seed %d: %d bytes and %v upstream, want %d and %v", seed, bytes, upstream, sum, want)
			}
		}
	}
}
