package backend

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// topics are the subscriptions of the peers of a PUB or XPUB, each peer's a set (29/PUBSUB
// counts references only across peers). Matching costs one lookup for each distinct length
// of a topic.
type topics struct {
	byName  map[string]*topic
	peak    int      // the largest size of byName since it was made
	lengths []length // ascending
	matches uint64   // calls of match: marks the peers that one has found

	// most limits the subscriptions of all peers in bytes, and a tenth of it those of one
	// owner; zero means no limit.
	most   int64
	bytes  int64
	owners map[owner]int64 // in bytes
}

// topic is one that peers are subscribed to. Its name is the only copy of it.
type topic struct {
	name    string
	holders []*peer
}

// length counts the topics that have that many bytes.
type length struct{ bytes, topics int }

// overhead is what a subscription counts beside its topic, in bytes.
const overhead = 64

// maxShare is the part of topics.most that one owner may have.
const maxShare = 10

// size is what a subscription to a topic counts.
func size(name string) int64 { return int64(len(name)) + overhead }

// room returns an error if p must not subscribe to one more topic, because its owner or all
// peers together would have too much.
func (t *topics) room(name string, p *peer) error {
	if t.most == 0 || t.has(name, p) {
		return nil
	}
	switch n := size(name); {
	case t.owners[p.owner]+n > t.most/maxShare:
		return fmt.Errorf("%w: subscriptions of one user of more than %d bytes in all (a tenth of max_subscription_bytes)", zmtp.ErrTooLarge, t.most/maxShare)
	case t.bytes+n > t.most:
		return fmt.Errorf("%w: subscriptions of more than %d bytes in all (max_subscription_bytes)", zmtp.ErrTooLarge, t.most)
	}
	return nil
}

// has reports whether p is subscribed to a topic.
func (t *topics) has(name string, p *peer) bool {
	found := t.byName[name]
	if found == nil {
		return false
	}
	_, ok := p.topics[found]
	return ok
}

// add subscribes p to a topic, which it returns if no other peer was subscribed to it.
func (t *topics) add(name string, p *peer) (first *topic) {
	if t.has(name, p) {
		return nil
	}
	found := t.byName[name]
	if found == nil {
		found = &topic{name: name}
		first = found
		t.enter(found)
	}
	found.holders = append(found.holders, p)
	if p.topics == nil {
		p.topics = make(map[*topic]struct{})
	}
	p.topics[found] = struct{}{}
	p.mostTopics = max(p.mostTopics, len(p.topics))
	t.charge(p.owner, size(name))
	return first
}

// enter adds a topic.
func (t *topics) enter(found *topic) {
	if t.byName == nil {
		t.byName = make(map[string]*topic)
	}
	t.byName[found.name] = found
	t.peak = max(t.peak, len(t.byName))
	i, ok := t.find(len(found.name))
	if !ok {
		t.lengths = slices.Insert(t.lengths, i, length{bytes: len(found.name)})
	}
	t.lengths[i].topics++
}

// charge adds n bytes to what an owner has.
func (t *topics) charge(o owner, n int64) {
	if t.owners == nil {
		t.owners = make(map[owner]int64)
	}
	t.bytes += n
	if t.owners[o] += n; t.owners[o] == 0 {
		delete(t.owners, o)
	}
}

// remove unsubscribes p from a topic, which it returns if no peer is subscribed to it now.
func (t *topics) remove(name string, p *peer) (last *topic) {
	if !t.has(name, p) {
		return nil
	}
	found := t.byName[name]
	delete(p.topics, found)
	p.topics = shrunk(p.topics, &p.mostTopics)
	t.charge(p.owner, -size(name))
	found.holders = slices.DeleteFunc(found.holders, func(o *peer) bool { return o == p })
	if len(found.holders) > 0 {
		return nil
	}
	t.drop(found)
	return found
}

// drop removes a topic that no peer is subscribed to.
func (t *topics) drop(found *topic) {
	delete(t.byName, found.name)
	t.byName = shrunk(t.byName, &t.peak)
	i, _ := t.find(len(found.name))
	t.lengths[i].topics--
	if t.lengths[i].topics == 0 {
		t.lengths = slices.Delete(t.lengths, i, i+1)
	}
}

// minPeak is the smallest size from which on a map is made again, in entries.
const minPeak = 256

// shrunk returns m, or a copy if it has less than a quarter of peak entries: a map never gives
// memory back.
func shrunk[K comparable, V any](m map[K]V, peak *int) map[K]V {
	if *peak < minPeak || len(m) >= *peak/4 {
		return m
	}
	smaller := make(map[K]V, len(m))
	for k, v := range m {
		smaller[k] = v
	}
	*peak = len(m)
	return smaller
}

// removeAll removes all subscriptions of p and returns the topics that no peer is
// subscribed to now, sorted.
func (t *topics) removeAll(p *peer) (gone []*topic) {
	for found := range p.topics {
		t.charge(p.owner, -size(found.name))
		found.holders = slices.DeleteFunc(found.holders, func(o *peer) bool { return o == p })
		if len(found.holders) == 0 {
			t.drop(found)
			gone = append(gone, found)
		}
	}
	p.topics, p.mostTopics = nil, 0
	slices.SortFunc(gone, func(a, b *topic) int { return cmp.Compare(a.name, b.name) })
	return gone
}

// find returns where topics of that length are counted, or would be.
func (t *topics) find(bytes int) (at int, ok bool) {
	return slices.BinarySearchFunc(t.lengths, bytes, func(l length, n int) int { return l.bytes - n })
}

// match appends to dst, once, each peer that is subscribed to a prefix of a message's topic.
func (t *topics) match(dst []*peer, name []byte) []*peer {
	t.matches++
	for _, l := range t.lengths {
		if l.bytes > len(name) {
			break
		}
		found := t.byName[string(name[:l.bytes])]
		if found == nil {
			continue
		}
		for _, p := range found.holders {
			if p.mark != t.matches {
				p.mark = t.matches
				dst = append(dst, p)
			}
		}
	}
	return dst
}
