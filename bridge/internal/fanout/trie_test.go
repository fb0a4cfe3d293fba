package fanout

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// word returns a topic of few different bytes, so that many are prefixes of each other. Some
// are long, and some begin with an arbitrary byte.
func word(r *rand.Rand) []byte {
	w := make([]byte, r.IntN(7))
	for i := range w {
		w[i] = "ab\x00"[r.IntN(3)]
	}
	switch r.IntN(4) {
	case 0:
		w = append(bytes.Repeat([]byte{'l'}, r.IntN(20)), w...)
	case 1:
		w = append([]byte{byte(0x80 + r.IntN(40))}, w...)
	}
	return w
}

// TestTrie compares the trie with a set that is searched linearly.
func TestTrie(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		var tr trie
		set := map[string]*subscription{}
		for step := range 300 {
			w := word(r)
			s := tr.get(w)
			if s != set[string(w)] {
				t.Fatalf("seed %d, step %d: get %q: %v, want %v", seed, step, w, s, set[string(w)])
			}
			if s == nil {
				s = &subscription{topic: w}
				set[string(w)] = s
				tr.put(s)
			} else {
				tr.remove(s)
				delete(set, string(w))
			}
			topic := append(word(r), word(r)...)
			var want []*subscription
			for prefix, s := range set {
				if strings.HasPrefix(string(topic), prefix) {
					want = append(want, s)
				}
			}
			slices.SortFunc(want, func(a, b *subscription) int { return len(a.topic) - len(b.topic) })
			if got := tr.match(nil, topic); !slices.Equal(got, want) {
				t.Fatalf("seed %d, step %d: %q matches %d subscriptions, want %d", seed, step, topic, len(got), len(want))
			}
			if tr.size != len(set) {
				t.Fatalf("seed %d, step %d: size %d, want %d", seed, step, tr.size, len(set))
			}
		}
		for _, s := range set {
			tr.remove(s)
		}
		if len(tr.root.children) > 0 {
			t.Fatalf("seed %d: an empty trie has %d branches", seed, len(tr.root.children))
		}
	}
}

// TestTrieShape checks that nodes that are not needed are removed.
func TestTrieShape(t *testing.T) {
	var tr trie
	subs := map[string]*subscription{}
	for _, topic := range []string{"house/1/a", "house/1/b", "house/2", "house/"} {
		subs[topic] = &subscription{topic: []byte(topic)}
		tr.put(subs[topic])
	}
	for _, topic := range []string{"house/", "house/1/a", "house/2"} {
		tr.remove(subs[topic])
	}
	if n := tr.root.children[0]; !bytes.Equal(n.edge, []byte("house/1/b")) || len(n.children) > 0 {
		t.Errorf("want one node with all bytes, have %q with %d children", n.edge, len(n.children))
	}
}

// topics returns n topics as devices publish them.
func topics(n int) [][]byte {
	all := make([][]byte, n)
	for i := range all {
		all[i] = fmt.Appendf(nil, "house/%05d/room/%d/temperature", i/20, i%20)
	}
	return all
}

// BenchmarkMatch matches a topic against tries of different sizes.
func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{1, 1000, 10000, 200000} {
		b.Run(fmt.Sprintf("subscriptions=%d", n), func(b *testing.B) {
			all := topics(n)
			var tr trie
			for _, topic := range all {
				tr.put(&subscription{topic: topic})
			}
			r := rand.New(rand.NewPCG(1, 2))
			r.Shuffle(n, func(i, j int) { all[i], all[j] = all[j], all[i] })
			var matched []*subscription
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				matched = tr.match(matched[:0], all[i%n])
				if len(matched) != 1 {
					b.Fatalf("%d match", len(matched))
				}
			}
		})
	}
}
