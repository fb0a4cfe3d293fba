package auth

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

// TestPlacesModel compares random logins with what must always hold: no more are judged at the same
// time than the limit allows, and nothing is left when all are decided.
func TestPlacesModel(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 0))
			limit := 1 + r.IntN(5)
			s := &service{took: time.Duration(1+r.IntN(300)) * time.Millisecond}
			f := s.inChain(t, limit, time.Duration(r.IntN(2))*time.Second)
			f.early = r.IntN(2) == 0
			var all sync.WaitGroup
			for range 300 {
				address, user := fmt.Sprintf("192.0.2.%d", r.IntN(4)), fmt.Sprint(r.IntN(4))
				req := plain(address, user, string("xyz"[r.IntN(3)]))
				if r.IntN(4) == 0 {
					req = bearer(address, string("xyz"[r.IntN(3)]))
				}
				ctx, leave := context.WithTimeout(t.Context(), time.Duration(1+r.IntN(3000))*time.Millisecond)
				all.Go(func() {
					defer leave()
					_, _ = f.Authenticate(ctx, req)
				})
				if r.IntN(20) == 0 {
					f.SetLimit(r.IntN(6), zap.DefaultTimeout)
				}
				time.Sleep(time.Duration(r.IntN(100)) * time.Millisecond)
				placesAreConsistent(t, f)
			}
			all.Wait()
			time.Sleep(2 * lingering)
			noPlaces(t, f)
		})
	}
}

// placesAreConsistent checks that whoever waits has reason to.
func placesAreConsistent(t *testing.T, f *Failures) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	waiting := 0
	for _, tb := range f.tables {
		for _, tally := range tb.tallies {
			waiting += tally.waiting.Len()
			if tally.waiting.Len() > 0 && tally.judging == 0 {
				t.Errorf("%d wait although nothing is judged", tally.waiting.Len())
			}
			if tally.judging < 0 || tally.failures == 0 && tally.judging == 0 && tally.waiting.Len() == 0 {
				t.Errorf("%+v", tally)
			}
		}
	}
	if waiting != f.waiting {
		t.Errorf("%d wait, %d are counted", waiting, f.waiting)
	}
}
