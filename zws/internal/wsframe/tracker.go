package wsframe

// Tracker follows the frames of a client in what passes a reader, in pieces of any size. It
// finds what libraries accept and RFC 6455 forbids, and knows how much of a frame is still to
// come. The zero value is ready to use.
type Tracker struct {
	payload int // bytes of the current frame that have not passed
	header  [MaxMaskedHeader]byte
	have    uint8 // bytes in header, while it is incomplete
	final   bool  // the current frame ends its message
	lost    bool  // a frame that every reader refuses: nothing after it makes sense
}

// Left returns how many bytes of the payload of the current frame have not passed, and
// whether that frame ends its message.
func (t *Tracker) Left() (n int, final bool) { return t.payload, t.final }

// Between reports whether what has passed ends with a whole frame.
func (t *Tracker) Between() bool { return t.payload == 0 && t.have == 0 && !t.lost }

// Reach returns how many bytes of p, which comes next, belong to one frame. It may be fewer than the
// frame has in p if the header came in pieces, but at least one of a p that is not empty.
func (t *Tracker) Reach(p []byte) int {
	switch {
	case t.lost:
		return len(p)
	case t.payload > 0:
		return min(t.payload, len(p))
	case t.have > 0:
		return min(1, len(p))
	}
	h, ok := ParseHeader(p)
	if !ok { // not complete, or nothing after it makes sense
		return len(p)
	}
	return h.Length + min(h.Payload, len(p)-h.Length)
}

// Track follows p. If a frame is invalid, it returns how many bytes of p come before it, and
// what is wrong with it. Frames that are not masked or announce more than an int can hold are
// left to the reader.
func (t *Tracker) Track(p []byte) (good int, fault string) {
	for at := 0; at < len(p) && !t.lost; {
		if t.payload > 0 {
			n := min(t.payload, len(p)-at)
			t.payload -= n
			at += n
			continue
		}
		start := at
		h, ok := ParseHeader(p[at:])
		if ok && t.have == 0 {
			at += h.Length
		} else if h, at, ok = t.collect(p, at); !ok {
			continue
		}
		if fault := h.Fault(); fault != "" {
			return start, fault
		}
		t.payload, t.final = h.Payload, h.First&final != 0
	}
	return len(p), ""
}

// collect adds p[at:] to a header that came in pieces. It returns false if the header is not
// complete or cannot be read.
func (t *Tracker) collect(p []byte, at int) (Header, int, bool) {
	for at < len(p) {
		t.header[t.have] = p[at]
		t.have++
		at++
		if h, ok := ParseHeader(t.header[:t.have]); ok {
			t.have = 0
			return h, at, true
		}
		if t.have == 2 && t.header[1]&masked == 0 || t.have == MaxMaskedHeader {
			t.lost = true
			break
		}
	}
	return Header{}, at, false
}

// Fault returns what RFC 6455 forbids about the header; empty if nothing. Section 5.2: "the
// minimal number of bytes MUST be used to encode the length". Section 5.5.1: the body of a
// close frame, if there is one, begins with a code of two bytes.
func (h Header) Fault() string {
	switch {
	case h.Length == 8 && h.Payload < 126, h.Length == 14 && h.Payload < 1<<16:
		return "length of a frame in more bytes than needed"
	case h.First&opcode == Close&opcode && h.Payload == 1:
		return "close frame of one byte: a code has two"
	}
	return ""
}
