package fanout

import "bytes"

// trie holds the subscriptions by topic: a radix tree, in which an edge is the longest run
// of octets without a branch.
type trie struct {
	root node
	size int // subscriptions
}

type node struct {
	edge         []byte // the octets that lead here from the parent
	first        []byte // the first octet of each child's edge
	children     []*node
	parent       *node
	subscription *subscription // nil if no subscription ends here
}

// match appends every subscription that is a prefix of topic to dst, shortest first.
func (t *trie) match(dst []*subscription, topic []byte) []*subscription {
	for n := &t.root; ; {
		if n.subscription != nil {
			dst = append(dst, n.subscription)
		}
		if len(topic) == 0 {
			return dst
		}
		i := bytes.IndexByte(n.first, topic[0])
		if i < 0 {
			return dst
		}
		n = n.children[i]
		if !bytes.HasPrefix(topic, n.edge) {
			return dst
		}
		topic = topic[len(n.edge):]
	}
}

// get is the subscription to exactly this topic, or nil.
func (t *trie) get(topic []byte) *subscription {
	n := &t.root
	for len(topic) > 0 {
		i := bytes.IndexByte(n.first, topic[0])
		if i < 0 || !bytes.HasPrefix(topic, n.children[i].edge) {
			return nil
		}
		n = n.children[i]
		topic = topic[len(n.edge):]
	}
	return n.subscription
}

// put inserts s, whose topic is not there yet.
func (t *trie) put(s *subscription) {
	t.size++
	n, rest := &t.root, s.topic
	for len(rest) > 0 {
		i := bytes.IndexByte(n.first, rest[0])
		if i < 0 {
			n = n.add(rest)
			break
		}
		child := n.children[i]
		common := commonPrefix(child.edge, rest)
		if common < len(child.edge) {
			child = child.split(common)
			n.children[i] = child
		}
		n, rest = child, rest[common:]
	}
	n.subscription, s.node = s, n
}

// add hangs a new child with this edge below n.
func (n *node) add(edge []byte) *node {
	child := &node{edge: edge, parent: n}
	n.first = append(n.first, edge[0])
	n.children = append(n.children, child)
	return child
}

// split puts a new node in front of n that takes the first octets of n's edge. The caller
// hangs it where n hung.
func (n *node) split(at int) *node {
	upper := &node{edge: n.edge[:at], parent: n.parent}
	n.edge, n.parent = n.edge[at:], upper
	upper.first, upper.children = []byte{n.edge[0]}, []*node{n}
	return upper
}

// remove takes s out, and the nodes that nothing needs without it.
func (t *trie) remove(s *subscription) {
	t.size--
	n := s.node
	n.subscription, s.node = nil, nil
	if n.parent != nil && len(n.children) == 0 {
		parent := n.parent
		i := bytes.IndexByte(parent.first, n.edge[0])
		last := len(parent.children) - 1
		parent.first[i], parent.children[i] = parent.first[last], parent.children[last]
		parent.children[last] = nil
		parent.first, parent.children = parent.first[:last], parent.children[:last]
		n = parent
	}
	n.join()
}

// join makes one node of n and its only child if n is neither the root nor the end of a
// subscription.
func (n *node) join() {
	if n.parent == nil || n.subscription != nil || len(n.children) != 1 {
		return
	}
	child := n.children[0]
	child.edge = append(bytes.Clone(n.edge), child.edge...)
	child.parent = n.parent
	n.parent.children[bytes.IndexByte(n.parent.first, n.edge[0])] = child
}

func commonPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
