package backend

import "slices"

// topics are the subscriptions of the peers of a PUB or XPUB, each peer's a set (29/PUBSUB
// counts references only across peers). Matching costs one lookup for each distinct length
// of a topic.
type topics struct {
	holders map[string][]*peer
	lengths []length // ascending
	matches uint64   // calls of match: marks the peers that one has found
}

// length counts the topics that have that many bytes.
type length struct{ bytes, topics int }

// add subscribes p to topic. first reports that no other peer was subscribed to it.
func (t *topics) add(topic string, p *peer) (first bool) {
	if _, ok := p.topics[topic]; ok {
		return false
	}
	if p.topics == nil {
		p.topics = make(map[string]struct{})
	}
	p.topics[topic] = struct{}{}
	if t.holders == nil {
		t.holders = make(map[string][]*peer)
	}
	first = len(t.holders[topic]) == 0
	t.holders[topic] = append(t.holders[topic], p)
	if first {
		i, ok := t.find(len(topic))
		if !ok {
			t.lengths = slices.Insert(t.lengths, i, length{bytes: len(topic)})
		}
		t.lengths[i].topics++
	}
	return first
}

// remove unsubscribes p from topic. last reports that no peer is subscribed to it now.
func (t *topics) remove(topic string, p *peer) (last bool) {
	if _, ok := p.topics[topic]; !ok {
		return false
	}
	delete(p.topics, topic)
	rest := slices.DeleteFunc(t.holders[topic], func(o *peer) bool { return o == p })
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

// removeAll removes all subscriptions of p and returns the topics that no peer is
// subscribed to now.
func (t *topics) removeAll(p *peer) (gone []string) {
	for topic := range p.topics {
		if t.remove(topic, p) {
			gone = append(gone, topic)
		}
	}
	slices.Sort(gone)
	return gone
}

// find returns where topics of that length are counted, or would be.
func (t *topics) find(bytes int) (at int, ok bool) {
	return slices.BinarySearchFunc(t.lengths, bytes, func(l length, n int) int { return l.bytes - n })
}

// match appends to dst, once, each peer that is subscribed to a prefix of topic.
func (t *topics) match(dst []*peer, topic []byte) []*peer {
	t.matches++
	for _, l := range t.lengths {
		if l.bytes > len(topic) {
			break
		}
		for _, p := range t.holders[string(topic[:l.bytes])] {
			if p.mark != t.matches {
				p.mark = t.matches
				dst = append(dst, p)
			}
		}
	}
	return dst
}
