package zmtp

// Frame is one frame of a message, or one command, whatever the transport makes of its
// flags. Who owns Body is said where a frame is handed over.
type Frame struct {
	// More tells that further frames of the same message follow. Never set on a command.
	More bool
	// Command tells that Body is a command and not part of a message.
	Command bool
	Body    []byte
}

// Message is the frames of one ZeroMQ message.
type Message [][]byte

// Size is the sum of the frames' lengths in octets.
func (m Message) Size() int {
	n := 0
	for _, f := range m {
		n += len(f)
	}
	return n
}
