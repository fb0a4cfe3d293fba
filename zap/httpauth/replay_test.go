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

// recorded is one question of RabbitMQ 3.10.8 to its rabbitmq_auth_backend_http, and the
// answer that it was given: testdata/rabbitmq-http-requests.jsonl, five STOMP logins over
// WebSocket and what the users did then.
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

// sessions are what RabbitMQ's clients did, in terms of ours: a login, and then the topics
// that were subscribed to (read) and sent to (write). Lines are those of the record, from 1,
// that ours has to ask in this order, which is all of them but
//
//   - those about queues, of which there are none here;
//   - the first question about each topic that is subscribed to: the STOMP adapter asks on
//     its own account before it makes a queue, and RabbitMQ again when it binds it.
//
// Where that first one was denied (line 16), line 23 goes before it: ours asks about the
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

// TestReplay has ours ask what RabbitMQ asked, octet by octet.
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
		o.Cache = time.Hour // RabbitMQ asks once for each exchange that it binds or sends to
		play(t, open(t, o), session.user, session.password, session.does)
		if diff := cmp.Diff(want, s.questions()); diff != "" {
			t.Errorf("%s with %q: %s", session.user, session.does, diff)
		}
	}
}

// play does what a session did, refused or not.
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
