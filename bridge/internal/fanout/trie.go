package fanout

import "bytes"

// trie holds the subscriptions by topic: a radix tree, in which an edge is the longest run of
// bytes without a branch. With many topics, matching is a walk through memory that is not in
// the cache, so a node keeps what the walk needs close together: most steps touch the node and
// one child.
type trie struct {
	root node
	size int // number of subscriptions
}

type node struct {
	few          [16]byte // first byte of each child's edge, if there are at most 16
	children     []child
	subscription *subscription // nil if no subscription ends here
	edge         []byte        // the bytes that lead here from the parent
	many         []byte        // replaces few if there are more children
	parent       *node
}

// child is a node and the beginning of its edge.
type child struct {
	label [7]byte
	size  uint8 // of the edge; long if it does not fit into label
	*node
}

const long = 0xFF

func newChild(n *node) child {
	c := child{size: uint8(len(n.edge)), node: n}
	if copy(c.label[:], n.edge) < len(n.edge) {
		c.size = long
	}
	return c
}

// leads reports whether topic begins with the edge to c, and returns what follows.
func (c *child) leads(topic []byte) (rest []byte, ok bool) {
	if c.size == long {
		return bytes.CutPrefix(topic, c.edge)
	}
	n := int(c.size)
	if len(topic) < n || string(topic[:n]) != string(c.label[:n]) {
		return nil, false
	}
	return topic[n:], true
}

// find returns the index of the child whose edge begins with first; -1 if there is none.
func (n *node) find(first byte) int {
	if n.many != nil {
		return bytes.IndexByte(n.many, first)
	}
	return bytes.IndexByte(n.few[:len(n.children)], first)
}

// match appends each subscription that is a prefix of topic to dst, shortest first.
func (t *trie) match(dst []*subscription, topic []byte) []*subscription {
	for n := &t.root; ; {
		if n.subscription != nil {
			dst = append(dst, n.subscription)
		}
		if len(topic) == 0 {
			return dst
		}
		i := n.find(topic[0])
		if i < 0 {
			return dst
		}
		c := &n.children[i]
		rest, ok := c.leads(topic)
		if !ok {
			return dst
		}
		n, topic = c.node, rest
	}
}

// get returns the subscription to exactly this topic, or nil.
func (t *trie) get(topic []byte) *subscription {
	n := &t.root
	for len(topic) > 0 {
		i := n.find(topic[0])
		if i < 0 {
			return nil
		}
		c := &n.children[i]
		rest, ok := c.leads(topic)
		if !ok {
			return nil
		}
		n, topic = c.node, rest
	}
	return n.subscription
}

// put inserts s, whose topic must not be in the trie.
func (t *trie) put(s *subscription) {
	t.size++
	n, rest := &t.root, s.topic
	for len(rest) > 0 {
		i := n.find(rest[0])
		if i < 0 {
			lower := &node{edge: rest, parent: n}
			n.add(lower)
			n = lower
			break
		}
		lower := n.children[i].node
		common := commonPrefix(lower.edge, rest)
		if common < len(lower.edge) {
			lower = lower.split(common)
			n.children[i] = newChild(lower)
		}
		n, rest = lower, rest[common:]
	}
	n.subscription, s.node = s, n
}

// add makes c a child of n.
func (n *node) add(c *node) {
	switch i := len(n.children); {
	case n.many != nil:
		n.many = append(n.many, c.edge[0])
	case i < len(n.few):
		n.few[i] = c.edge[0]
	default:
		n.many = append(n.few[:], c.edge[0])
	}
	n.children = append(n.children, newChild(c))
}

// split puts a new node before n, with the first bytes of n's edge. The caller replaces n by it
// in n's parent.
func (n *node) split(at int) *node {
	upper := &node{edge: n.edge[:at], parent: n.parent}
	n.edge, n.parent = n.edge[at:], upper
	upper.add(n)
	return upper
}

// drop removes child i. The last child moves to its index.
func (n *node) drop(i int) {
	last := len(n.children) - 1
	n.children[i] = n.children[last]
	n.children[last] = child{}
	n.children = n.children[:last]
	if n.many != nil {
		n.many[i] = n.many[last]
		n.many = n.many[:last]
		return
	}
	n.few[i] = n.few[last]
}

// remove removes s and the nodes that are not needed without it.
func (t *trie) remove(s *subscription) {
	t.size--
	n := s.node
	n.subscription, s.node = nil, nil
	if n.parent != nil && len(n.children) == 0 {
		n.parent.drop(n.parent.find(n.edge[0]))
		n = n.parent
	}
	n.join()
}

// join merges n with its only child, unless n is the root or the end of a subscription.
func (n *node) join() {
	if n.parent == nil || n.subscription != nil || len(n.children) != 1 {
		return
	}
	lower := n.children[0].node
	lower.edge = append(bytes.Clone(n.edge), lower.edge...)
	lower.parent = n.parent
	n.parent.children[n.parent.find(n.edge[0])] = newChild(lower)
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
