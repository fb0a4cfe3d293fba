package conn

import (
	"context"
	"testing"

	"github.com/zwsbridge/zwsbridge/bridge/internal/rights"
	"github.com/zwsbridge/zwsbridge/bridge/internal/route"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// sent is a socket that records how many messages each Send gets.
type sent struct {
	route.Socket // nothing else is called
	calls        []int
}

func (s *sent) Send(_ context.Context, msgs ...zmtp.Message) error {
	s.calls = append(s.calls, len(msgs))
	return nil
}

// TestForwardTogether: messages that have arrived together go to the socket together, up to a
// number of messages and of bytes.
func TestForwardTogether(t *testing.T) {
	for _, test := range []struct{ size, messages, want int }{{10, 1000, 256}, {40_000, 10, 2}, {100_000, 10, 1}} {
		socket := new(sent)
		id := session{route: testRoute(t, "DEALER")}
		s := &stream{session: &id, conn: NewSet(Options{}).newConnection(id, "", new(zws.Login)), socket: socket}
		s.rights.Store(&route.Rights{Rights: rights.Combine()})
		for range test.messages {
			if err := s.forward(t.Context(), zmtp.Message{make([]byte, test.size)}, true); err != nil {
				t.Fatal(err)
			}
		}
		if len(socket.calls) == 0 || socket.calls[0] != test.want {
			t.Errorf("%d bytes each: sent %v together, want %d", test.size, socket.calls, test.want)
		}
	}
}
