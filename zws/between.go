package zws

// between holds what stands between the messages of an inbox of ZWSMUX1.0, with its place.
type between[T any] struct {
	list  []placed[T]
	ahead int // bytes of messages before the last one
}

type placed[T any] struct {
	value T
	ahead int // bytes of messages between the one before and this one
}

// put adds v behind inbox bytes of messages. If nothing but the last value stands before it and
// replaces of that is true, v takes its place.
func (b *between[T]) put(v T, inbox int, replaces func(last T) bool) {
	if n := len(b.list); n > 0 && inbox == b.ahead && replaces(b.list[n-1].value) {
		b.list[n-1].value = v
		return
	}
	b.list = append(b.list, placed[T]{v, inbox - b.ahead})
	b.ahead = inbox
}

// take returns the first value if it stands before the next message.
func (b *between[T]) take() (v T, ok bool) {
	if len(b.list) == 0 || b.list[0].ahead > 0 {
		return v, false
	}
	v = b.list[0].value
	b.list[0] = placed[T]{}
	if b.list = b.list[1:]; len(b.list) == 0 {
		b.list = nil // an idle channel keeps no buffer
	}
	return v, true
}

// passed is called when n bytes of messages were taken.
func (b *between[T]) passed(n int) {
	if len(b.list) > 0 {
		b.list[0].ahead -= n
		b.ahead -= n
	}
}
