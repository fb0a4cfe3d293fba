package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/bridge/internal/printable"
	"github.com/zwsbridge/zwsbridge/bridge/internal/route"
)

// maxWaiting is up to how many messages that wait in a permanent queue are counted.
const maxWaiting = 10_000

// Archive is what the route at Path keeps.
type Archive struct {
	Path string
	*route.Archive
}

// History is what operators see of the history of a route.
type History struct {
	Route      string `json:"route"`
	Messages   int    `json:"messages"`
	Bytes      int64  `json:"bytes"` // memory of messages, last values and topics
	Topics     int    `json:"topics"`
	LastValues int    `json:"last_values"`
	// Oldest and Newest are when the first and the last message came; null without messages.
	Oldest     *time.Time `json:"oldest"`
	Newest     *time.Time `json:"newest"`
	End        uint64     `json:"end"`        // sequence after Newest: its increase is the rate
	Generation string     `json:"generation"` // hexadecimal
	Leader     string     `json:"leader"`     // the bridge that reads the backends; "" while none does
	State      string     `json:"state"`      // "ok" or "not stored"
	Since      *time.Time `json:"since,omitempty"`
	Error      string     `json:"error,omitempty"`
	Missed     uint64     `json:"missed"` // messages that were not stored
}

// thisBridge is the leader of every route that is not shared with other bridges.
const thisBridge = "this bridge"

func historyOf(a Archive) History {
	s, state := a.Log.Stats(), a.Log.State()
	h := History{
		Route: a.Path, Messages: s.Messages, Bytes: s.Bytes, Topics: s.Topics, LastValues: s.LastValues,
		Oldest: timeOrNil(s.Oldest), Newest: timeOrNil(s.Newest),
		End: s.End.Sequence, Generation: fmt.Sprintf("%016x", s.End.Generation), Leader: thisBridge, State: "ok", Missed: state.Missed,
	}
	if leader, shared := a.Leader(); shared {
		h.Leader = leader
	}
	if state.Err != nil {
		h.State, h.Error, h.Since = "not stored", state.Err.Error(), timeOrNil(state.Since)
	}
	return h
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Queue is what operators see of a permanent queue.
type Queue struct {
	Route    string     `json:"route"`
	User     string     `json:"user"`      // in the form of printable.Name, as is Name
	Name     string     `json:"name"`      // "" is the default queue of the user
	Waiting  int        `json:"waiting"`   // messages that are not acknowledged, at most maxWaiting
	LastSeen *time.Time `json:"last_seen"` // when its last client left; null if none has yet
	Used     bool       `json:"used"`      // a client has it
}

func queueOf(a Archive, q history.QueueInfo) Queue {
	topics := make([][]byte, len(q.Topics))
	for i, t := range q.Topics {
		topics[i] = []byte(t)
	}
	return Queue{
		Route: a.Path, User: printable.Name(q.User), Name: printable.Name(q.Name),
		Waiting:  a.Log.Count(q.Acked, history.NewMatch(topics, nil), maxWaiting),
		LastSeen: timeOrNil(q.Seen), Used: q.Used,
	}
}

func (a *admin) serveHistory(w http.ResponseWriter, _ *http.Request, _ *operator) {
	list := []History{}
	for _, archive := range a.bridge.Archives() {
		list = append(list, historyOf(archive))
	}
	writeJSON(w, list)
}

func (a *admin) serveQueues(w http.ResponseWriter, r *http.Request, _ *operator) {
	list := []Queue{}
	for _, archive := range a.bridge.Archives() {
		for _, q := range archive.Queues.List() {
			if r.Context().Err() != nil {
				return // nobody reads the answer
			}
			list = append(list, queueOf(archive, q))
		}
	}
	writeJSON(w, list)
}

// queueName is the body of POST /queues/delete. User and Name have the form of GET /queues.
type queueName struct {
	Route string  `json:"route"`
	User  string  `json:"user"`
	Name  *string `json:"name"` // required, since "" is a queue as well
}

func (a *admin) serveDeleteQueue(w http.ResponseWriter, r *http.Request, o *operator) {
	var q queueName
	const want = `want {"route": "/path", "user": "name", "name": "queue"}`
	if !readBody(w, r, &q, want) {
		return
	}
	if q.User == "" || q.Name == nil {
		http.Error(w, want, http.StatusBadRequest)
		return
	}
	archive, ok := a.archive(w, q.Route)
	if !ok {
		return
	}
	key := history.QueueKey{User: printable.ParseName(q.User), Name: printable.ParseName(*q.Name)}
	deleted := archive.Queues.Delete(key)
	a.log.Info("queue deleted", "by", o.name, "route", q.Route, "user", key.User, "name", key.Name, "found", deleted)
	writeJSON(w, map[string]bool{"deleted": deleted})
}

// forget is the body of POST /history/forget. Topic has the form of printable.Name.
type forget struct {
	Route string  `json:"route"`
	Topic *string `json:"topic"` // required, since "" is a topic as well
}

func (a *admin) serveForget(w http.ResponseWriter, r *http.Request, o *operator) {
	var f forget
	const want = `want {"route": "/path", "topic": "the topic"}`
	if !readBody(w, r, &f, want) {
		return
	}
	if f.Topic == nil {
		http.Error(w, want, http.StatusBadRequest)
		return
	}
	archive, ok := a.archive(w, f.Route)
	if !ok {
		return
	}
	topic := printable.ParseName(*f.Topic)
	forgotten, err := archive.Forget([]byte(topic))
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	a.log.Info("topic forgotten", "by", o.name, "route", f.Route, "topic", topic, "found", forgotten)
	writeJSON(w, map[string]bool{"forgotten": forgotten})
}

// archive returns what the route at path keeps, or answers the request and reports false.
func (a *admin) archive(w http.ResponseWriter, path string) (Archive, bool) {
	for _, archive := range a.bridge.Archives() {
		if archive.Path == path {
			return archive, true
		}
	}
	http.Error(w, fmt.Sprintf("no route with a history has the path %q: see /history", path), http.StatusNotFound)
	return Archive{}, false
}

// readBody reads the body of a request, one JSON value, into v, or answers the request with want and the
// reason and reports false.
func readBody(w http.ResponseWriter, r *http.Request, v any, want string) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, after := d.Token(); after != io.EOF {
			err = errors.New("something follows the JSON object")
		}
	}
	if err != nil {
		http.Error(w, want+": "+err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}
