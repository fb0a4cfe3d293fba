package backend

import "slices"

// holder is who holds subscriptions: a peer of a PUB, a session of a SUB.
type holder interface {
	comparable
	subscriptions() *map[string]struct{}
	// marked tells whether it was called with this number before, and notes it.
	marked(uint64) bool
}

// topics are the subscriptions of several holders, each holder's a set (29/PUBSUB counts
// references only across them). Matching costs one lookup for each distinct length of a
// topic.
type topics[T holder] struct {
	holders map[string][]T
	lengths []length // ascending
	matches uint64   // calls of match: the number that marks holders
}

// length is how many topics have that many octets.
type length struct{ octets, topics int }

// add notes that h subscribes to topic. first: nobody did before.
func (t *topics[T]) add(topic string, h T) (first bool) {
	own := h.subscriptions()
	if _, ok := (*own)[topic]; ok {
		return false
	}
	if *own == nil {
		*own = make(map[string]struct{})
	}
	(*own)[topic] = struct{}{}
	if t.holders == nil {
		t.holders = make(map[string][]T)
	}
	first = len(t.holders[topic]) == 0
	t.holders[topic] = append(t.holders[topic], h)
	if first {
		i, ok := t.find(len(topic))
		if !ok {
			t.lengths = slices.Insert(t.lengths, i, length{octets: len(topic)})
		}
		t.lengths[i].topics++
	}
	return first
}

// remove notes that h no longer subscribes to topic. last: nobody does now.
func (t *topics[T]) remove(topic string, h T) (last bool) {
	own := h.subscriptions()
	if _, ok := (*own)[topic]; !ok {
		return false
	}
	delete(*own, topic)
	rest := slices.DeleteFunc(t.holders[topic], func(o T) bool { return o == h })
	if len(rest) > 0 {
		t.holders[topic] = rest
		return false
	}
	delete(t.holders, topic)
	i, _ := t.find(len(topic))
	t.lengths[i].topics--
	if t.lengths[i].topics == 0 {
		t.lengths = slices.Delete(t.lengths, i, i+1)
	}
	return true
}

// removeAll removes all subscriptions of h and returns those that nobody holds now.
func (t *topics[T]) removeAll(h T) (gone []string) {
	for topic := range *h.subscriptions() {
		if t.remove(topic, h) {
			gone = append(gone, topic)
		}
	}
	slices.Sort(gone)
	return gone
}

// find is where topics of that length are counted, or would be.
func (t *topics[T]) find(octets int) (at int, ok bool) {
	return slices.BinarySearchFunc(t.lengths, octets, func(l length, n int) int { return l.octets - n })
}

// match appends to dst everyone, once, who holds a prefix of topic.
func (t *topics[T]) match(dst []T, topic []byte) []T {
	t.matches++
	for _, l := range t.lengths {
		if l.octets > len(topic) {
			break
		}
		for _, h := range t.holders[string(topic[:l.octets])] {
			if !h.marked(t.matches) {
				dst = append(dst, h)
			}
		}
	}
	return dst
}

func (p *peer) subscriptions() *map[string]struct{}    { return &p.topics }
func (x *session) subscriptions() *map[string]struct{} { return &x.topics }

func (p *peer) marked(n uint64) bool {
	seen := p.mark == n
	p.mark = n
	return seen
}

func (x *session) marked(n uint64) bool {
	seen := x.mark == n
	x.mark = n
	return seen
}
