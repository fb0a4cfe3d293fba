package history

import "github.com/tidwall/btree"

// topic is a topic with messages in the log, or with a last value.
type topic struct {
	name string
	last uint64 // sequence of its newest message
	kept *value // that message, once it has left the log; else nil
	id   uint32
	void bool // its newest message was not kept, so that it has no last value
}

// topicSize is what a topic is taken to cost beside its name: the struct and its places in the
// three structures of topics.
const topicSize = 160

func (t *topic) size() int64 { return int64(len(t.name)) + topicSize }

// topics are the topics of a log. For a topic that is known, a message only looks into byName.
type topics struct {
	byName  map[string]*topic
	ordered btree.Map[string, *topic]
	byID    []*topic
	free    []uint32 // ids that are not in use
}

// add adds a topic that is not known.
func (s *topics) add(name string) *topic {
	t := &topic{name: name}
	if n := len(s.free); n > 0 {
		t.id, s.free = s.free[n-1], s.free[:n-1]
		s.byID[t.id] = t
	} else {
		t.id = uint32(len(s.byID))
		s.byID = append(s.byID, t)
	}
	s.byName[name] = t
	s.ordered.Set(name, t)
	return t
}

// remove removes t. Its id can be given to another topic while records of t are in the log.
func (s *topics) remove(t *topic) {
	delete(s.byName, t.name)
	s.ordered.Delete(t.name)
	s.byID[t.id] = nil
	s.free = append(s.free, t.id)
}

// newest returns the topic of that id if its newest message has that sequence, else nil.
func (s *topics) newest(id uint32, sequence uint64) *topic {
	if t := s.byID[id]; t != nil && t.last == sequence {
		return t
	}
	return nil
}

// value is a last value that has left the log.
type value struct {
	*topic
	sequence   uint64
	raw        []byte
	mono, wall int64 // as in block
}

// valueSize is what a value costs beside its bytes.
const valueSize = 96

func (v *value) size() int64 { return int64(len(v.raw)) + valueSize + v.topic.size() }

// values are the last values that have left the log, by sequence. A value that has been removed
// is left in the list, without its topic, until half of the list is such.
type values struct {
	list    []*value
	removed int
	bytes   int64
}

// push appends v, whose sequence is the highest.
func (s *values) push(v *value) {
	s.list = append(s.list, v)
	s.bytes += v.size()
	v.topic.kept = v
}

// remove removes v.
func (s *values) remove(v *value) {
	s.bytes -= v.size()
	v.topic.kept = nil
	v.topic, v.raw = nil, nil
	s.removed++
	if s.removed <= len(s.list)/2 {
		return
	}
	// A new list, so that the memory of the old one is freed.
	list := make([]*value, 0, len(s.list)-s.removed)
	for _, v := range s.list {
		if v.topic != nil {
			list = append(list, v)
		}
	}
	s.list, s.removed = list, 0
}

// oldest returns the value with the lowest sequence, or nil.
func (s *values) oldest() *value {
	for len(s.list) > 0 {
		if v := s.list[0]; v.topic != nil {
			return v
		}
		s.list = s.list[1:]
		s.removed--
	}
	return nil
}
