package conn

// topicSet has what each subscription of a client is upstream. Most clients have few, which a map
// would need 400 bytes for. The zero value is empty.
type topicSet struct {
	few  []subscribed
	many map[string][][]byte // all of them, if they are more than fewTopics
}

type subscribed struct {
	topic    string
	prefixes [][]byte
}

const fewTopics = 8

func (t *topicSet) size() int { return len(t.few) + len(t.many) }

// get returns what topic is upstream; nil if it is not in the set.
func (t *topicSet) get(topic string) [][]byte {
	for _, s := range t.few {
		if s.topic == topic {
			return s.prefixes
		}
	}
	return t.many[topic]
}

func (t *topicSet) put(topic string, prefixes [][]byte) {
	if t.many != nil {
		t.many[topic] = prefixes
		return
	}
	for i := range t.few {
		if t.few[i].topic == topic {
			t.few[i].prefixes = prefixes
			return
		}
	}
	if len(t.few) < fewTopics {
		t.few = append(t.few, subscribed{topic, prefixes})
		return
	}
	t.many = map[string][][]byte{topic: prefixes}
	for _, s := range t.few {
		t.many[s.topic] = s.prefixes
	}
	t.few = nil
}

func (t *topicSet) remove(topic string) {
	if delete(t.many, topic); len(t.many) == 0 {
		t.many = nil
	}
	for i, last := 0, len(t.few)-1; i <= last; i++ {
		if t.few[i].topic == topic {
			t.few[i], t.few[last] = t.few[last], subscribed{}
			t.few = t.few[:last]
			return
		}
	}
}

// all yields the subscriptions, in no order.
func (t *topicSet) all(yield func(topic string, prefixes [][]byte) bool) {
	for _, s := range t.few {
		if !yield(s.topic, s.prefixes) {
			return
		}
	}
	for topic, prefixes := range t.many {
		if !yield(topic, prefixes) {
			return
		}
	}
}
