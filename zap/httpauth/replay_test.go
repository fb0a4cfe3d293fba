package httpauth

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zwsbridge/zwsbridge/zap"
)

// recorded is a request of RabbitMQ 3.10.8 to its rabbitmq_auth_backend_http with the response.
// testdata/rabbitmq-http-requests.jsonl holds those of five STOMP logins over WebSocket and of
// what the users did then.
type recorded struct {
	Method      string `json:"method"`
	Path        string `json:"path"`
	ContentType string `json:"content_type"`
	Body        string `json:"body"`
	Answer      string `json:"answer"`
}

func record(t *testing.T) (all []recorded) {
	t.Helper()
	f, err := os.Open("testdata/rabbitmq-http-requests.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var r recorded
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	if len(all) != 26 {
		t.Fatalf("%d requests, want 26", len(all))
	}
	return all
}

// sessions are the actions of RabbitMQ's clients: a login, and then the topics that were
// subscribed to (read) and sent to (write). lines are the recorded requests, counted from 1,
// that our client has to send in this order. These are all of them except
//
//   - those about queues, which do not exist here;
//   - the first request about each topic of a subscription: the STOMP adapter asks before it
//     creates a queue, and RabbitMQ asks again when it binds it.
//
// Where that first one was denied (line 16), line 23 comes before it: our client asks about the
// exchange when a client attaches to the route.
var sessions = []struct {
	user, password string
	does           []field
	lines          []int
}{
	{"alice", "pw", []field{{"read", "house.alice.temp"}, {"write", "house.alice.temp"}, {"write", "house.bob.x"}}, []int{1, 2, 7, 8, 11, 12, 13}},
	{"bob", "pw", []field{{"read", "house.alice.temp"}}, []int{14, 15, 23, 16}},
	{"bob", "pw", []field{{"read", "house.bob.temp"}, {"write", "house.bob.temp"}}, []int{17, 18, 23, 24, 25}},
	{"bob", "bad", nil, []int{26}},
}

// TestReplay: our requests are byte for byte those of RabbitMQ.
func TestReplay(t *testing.T) {
	recording := record(t)
	for _, session := range sessions {
		var want []asked
		answers := make(map[asked]string)
		for _, line := range session.lines {
			r := recording[line-1]
			q := asked{r.Method, r.Path, r.ContentType, r.Body}
			want = append(want, q)
			answers[q] = r.Answer
		}
		s := serveRaw(t, func(q asked) string { return answers[q] })
		o := s.options()
		o.Cache = time.Hour // RabbitMQ asks once for each exchange
		play(t, open(t, o), session.user, session.password, session.does)
		if diff := cmp.Diff(want, s.questions()); diff != "" {
			t.Errorf("%s with %q: %s", session.user, session.does, diff)
		}
	}
}

// play performs the actions of a session, whether they are refused or not.
func play(t *testing.T, c *Client, user, password string, does []field) {
	t.Helper()
	reply, err := c.Authenticate(t.Context(), plain(user, password, "/"))
	if errors.Is(err, zap.ErrPass) && len(does) == 0 {
		return
	} else if err != nil {
		t.Fatal(err)
	}
	access, err := reply.Grants[0].On(t.Context(), "/", "amq.topic")
	if err != nil {
		t.Fatal(err)
	}
	for _, do := range does {
		ask := access.Topics.Receive
		if do.name == "write" {
			ask = access.Topics.Send
		}
		if err := ask(t.Context(), []byte(do.value)); err != nil && !errors.Is(err, zap.ErrDenied) {
			t.Fatal(err)
		}
	}
}
