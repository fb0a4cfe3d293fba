package bridge_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// device is a PUB that keeps account of what its peers are subscribed to.
type device struct {
	endpoint string

	mu     sync.Mutex
	topics map[string]int // connections that are subscribed to each
	bytes  int
	peak   int // the largest number of bytes
	total  int // subscriptions so far
}

// newDevice starts a device, which answers each subscription with a message of that topic.
func newDevice(t *testing.T, m zap.Mechanism) *device {
	d := &device{topics: make(map[string]int)}
	d.endpoint = listen(t, zmtp.PUB, m, always(zap.OK), func(c *zmtp.Conn) {
		held := make(map[string]bool)
		defer func() {
			for topic := range held {
				d.change(topic, -1)
			}
		}()
		for {
			m, err := c.ReadMessage()
			if err != nil {
				return
			}
			sub, ok := zmtp.ParseSubscription(m)
			if topic := string(sub.Topic); ok && sub.Cancel == held[topic] {
				if held[topic] = !sub.Cancel; sub.Cancel {
					delete(held, topic)
					d.change(topic, -1)
					continue
				}
				d.change(topic, +1)
				if len(topic) < 100 && c.Write(message(topic)) != nil {
					return
				}
			}
		}
	})
	return d
}

func (d *device) change(topic string, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.topics[topic] += n; d.topics[topic] == 0 {
		delete(d.topics, topic)
	}
	d.bytes += n * len(topic)
	d.peak = max(d.peak, d.bytes)
	d.total += max(n, 0)
}

// holds waits until the device holds n bytes of topics.
func (d *device) holds(t *testing.T, n int) {
	t.Helper()
	got := -1
	defer func() {
		if t.Failed() {
			t.Logf("the device holds %d bytes", got)
		}
	}()
	eventually(t, fmt.Sprintf("%d bytes of topics at the device", n), func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		got = d.bytes
		return got == n
	})
}

func (d *device) most() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.peak
}

// guestsAnd is a configuration of the users of users.htpasswd and anonymous ones.
const guestsAnd = `
[zap]
chain = [ { authn = "users" }, { authn = "guests" } ]
[auth.users]
type = "htpasswd"
file = "users.htpasswd"
[auth.guests]
type = "anonymous"
`

const everyone = `client_mechanisms = ["NULL", "PLAIN"]`

// A subscribing is one way of a client to subscribe anonymously. It subscribes on a route until
// it is refused, or until it has read enough after the last topic, and returns the close code
// and reason.
type subscribing func(ctx context.Context, url, path string, topics []string) (zws.Code, string)

// inFrames subscribes with messages in a dialect without a handshake. first is the frame before
// them, if it is not empty.
func inFrames(protocol, first string) subscribing {
	return func(ctx context.Context, url, path string, topics []string) (zws.Code, string) {
		return subscribeRaw(ctx, url+path+"?type=sub", protocol, websocket.BinaryMessage, first, topics, func(topic string) []byte { return []byte("\x00\x01" + topic) })
	}
}

// inURL subscribes as webtalk does.
func inURL(ctx context.Context, u, path string, topics []string) (zws.Code, string) {
	query := url.Values{"type": {"sub"}, "subscribe": topics}
	return subscribeRaw(ctx, u+path+"?"+query.Encode(), "ZWS1.0", websocket.BinaryMessage, "", nil, nil)
}

func subscribeRaw(ctx context.Context, url, protocol string, kind int, first string, topics []string, encode func(string) []byte) (zws.Code, string) {
	d := websocket.Dialer{Subprotocols: []string{protocol}}
	ws, _, err := d.DialContext(ctx, url, nil)
	if err != nil {
		return 0, err.Error()
	}
	defer ws.Close()
	defer context.AfterFunc(ctx, func() { ws.Close() })()
	go func() {
		if first != "" && ws.WriteMessage(kind, []byte(first)) != nil {
			return
		}
		for _, topic := range topics {
			if ws.WriteMessage(kind, encode(topic)) != nil {
				return
			}
		}
	}()
	for {
		if _, _, err := ws.ReadMessage(); err != nil {
			closed, _ := errors.AsType[*websocket.CloseError](err)
			if closed == nil {
				return 0, err.Error()
			}
			return zws.Code(closed.Code), closed.Text
		}
	}
}

func inJSON(ctx context.Context, url, path string, topics []string) (zws.Code, string) {
	return subscribeRaw(ctx, url+path, "ZWSJSON1.0", websocket.TextMessage, `{"op":"login"}`, topics, func(topic string) []byte {
		text, _ := json.Marshal(map[string]string{"op": "subscribe", "topic": topic})
		return text
	})
}

// inJSONLast asks for last values, and inJSONResuming resumes, on whatever route.
func inJSONLast(ctx context.Context, url, path string, topics []string) (zws.Code, string) {
	return subscribeRaw(ctx, url+path, "ZWSJSON1.0", websocket.TextMessage, `{"op":"login","history":true}`, topics, func(topic string) []byte {
		text, _ := json.Marshal(map[string]any{"op": "subscribe", "topic": topic, "last": true})
		return text
	})
}

func inJSONResuming(ctx context.Context, url, path string, topics []string) (zws.Code, string) {
	return subscribeRaw(ctx, url+path, "ZWSJSON1.0", websocket.TextMessage, `{"op":"login","history":true}`, topics[:1], func(string) []byte {
		text, _ := json.Marshal(map[string]any{"op": "resume", "topics": topics, "at": ""})
		return text
	})
}

// inClient subscribes with commands, or where the type is XSUB with messages.
func inClient(as zmtp.SocketType) subscribing {
	return func(ctx context.Context, url, path string, topics []string) (zws.Code, string) {
		c, err := zws.Dial(ctx, url+path, zws.DialOptions{SocketType: as, Security: zmtp.Null{}, HandshakeTimeout: time.Minute})
		if err != nil {
			return 0, err.Error()
		}
		defer c.Close()
		return subscribeSocket(ctx, c, as, topics)
	}
}

// inChannel subscribes on a channel of ZWSMUX1.0.
func inChannel(as zmtp.SocketType) subscribing {
	return func(ctx context.Context, url, path string, topics []string) (zws.Code, string) {
		return muxed(ctx, url, path, as, nil, topics)
	}
}

// inOpening opens a channel that subscribes to all topics.
func inOpening(ctx context.Context, url, path string, topics []string) (zws.Code, string) {
	var first [][]byte
	for _, topic := range topics {
		first = append(first, []byte(topic))
	}
	return muxed(ctx, url, path, zmtp.SUB, first, nil)
}

func muxed(ctx context.Context, url, path string, as zmtp.SocketType, first [][]byte, topics []string) (zws.Code, string) {
	m, err := zws.DialMux(ctx, url+path, zws.DialOptions{Security: zmtp.Null{}, HandshakeTimeout: time.Minute})
	if err != nil {
		return 0, err.Error()
	}
	defer m.Close()
	c, err := m.Open(ctx, zws.ChannelOptions{Route: path, SocketType: as, Subscribe: first})
	if err != nil {
		return refusedWith(err)
	}
	return subscribeSocket(ctx, c, as, topics)
}

func subscribeSocket(ctx context.Context, c zws.Socket, as zmtp.SocketType, topics []string) (zws.Code, string) {
	go func() {
		for _, topic := range topics {
			err := error(nil)
			if as == zmtp.XSUB {
				err = c.Send(ctx, message("\x01"+topic))
			} else {
				err = c.Subscribe(ctx, []byte(topic))
			}
			if err != nil {
				return
			}
		}
	}()
	for {
		if _, err := c.Recv(ctx); err != nil {
			return refusedWith(err)
		}
	}
}

// refusedWith returns the close code and reason of an error of a client.
func refusedWith(err error) (zws.Code, string) {
	if cause, ok := errors.AsType[*zws.CloseError](err); ok {
		return cause.Code, cause.Reason
	}
	return 0, err.Error()
}

var subscribings = map[string]subscribing{
	"ZWS2.0+NULL":              inClient(zmtp.SUB),
	"ZWS2.0+NULL, messages":    inClient(zmtp.XSUB),
	"ZWS2.0":                   inFrames("ZWS2.0", "\x00"), // the routing id
	"ZWS1.0":                   inFrames("ZWS1.0", "\x00"),
	"webtalk":                  inURL,
	"WSNetMQ":                  inFrames("WSNetMQ", ""),
	"ZWSJSON1.0":               inJSON,
	"ZWSJSON1.0, last":         inJSONLast,
	"ZWSJSON1.0, resume":       inJSONResuming,
	"ZWSMUX1.0, open":          inOpening,
	"ZWSMUX1.0":                inChannel(zmtp.SUB),
	"ZWSMUX1.0, XSUB messages": inChannel(zmtp.XSUB),
}
