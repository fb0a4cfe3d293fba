package filestore

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
)

// FuzzSegment loads a segment and a carry file with any content. What is accepted must be the same
// when it is loaded again.
func FuzzSegment(f *testing.F) {
	h := header{kind: kindSegment, first: 1}
	one := appendBatch(h.append(nil), history.Batch{First: 1, Count: 2, Data: []byte("data")})
	two := appendBatch(one, history.Batch{First: 3, Count: 1, Data: []byte("more")})
	h.kind = kindCarry
	carry := appendBatch(h.append(nil), history.Batch{First: 1, Data: []byte("piece")})
	carry = appendBatch(carry, history.Batch{First: 1, Count: 1})
	f.Add(one, []byte{})
	f.Add(two, carry)
	f.Add(two[:len(two)-1], carry[:len(carry)-1])
	f.Add(append(one, make([]byte, 100)...), []byte{})
	f.Fuzz(func(t *testing.T, segment, carry []byte) {
		dir := t.TempDir()
		for name, data := range map[string][]byte{segmentName(1): segment, "carry": carry} {
			if len(data) == 0 {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var loads [2][]string
		for i := range loads {
			s, err := Open(dir, Options{create: (&disk{room: 1 << 20}).create})
			if err != nil {
				t.Fatal(err)
			}
			err = s.Load(func(piece []byte) error {
				loads[i] = append(loads[i], string(piece))
				return nil
			}, func(b history.Batch) error {
				loads[i] = append(loads[i], string(b.Data))
				return nil
			})
			s.Close()
			if err != nil {
				if i > 0 {
					t.Fatalf("it was accepted before: %v", err)
				}
				return
			}
		}
		if d := cmp.Diff(loads[0], loads[1]); d != "" {
			t.Fatal(d)
		}
	})
}
