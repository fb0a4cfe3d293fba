package zws

import "errors"

// jsonTime is the layout of times: RFC 3339 with microseconds.
const jsonTime = "2006-01-02T15:04:05.000000Z"

var errRenewedLogin = protocolError("history, queue and batch belong to the first login")

// appendJSONPosition appends the member "at" to an object that has members already.
func appendJSONPosition(dst, at []byte) []byte {
	dst = positionText.AppendEncode(append(dst, `,"at":"`...), at)
	return append(dst, '"')
}

func (jsonNotifier) resumed(b *Batch, at []byte, recovered, gap bool) error {
	return b.text(func(dst []byte) []byte {
		dst = appendBool(append(dst, `{"op":"resumed","recovered":`...), recovered)
		dst = appendBool(append(dst, `,"gap":`...), gap)
		return append(appendJSONPosition(dst, at), '}')
	})
}

func (jsonNotifier) live(b *Batch, at []byte) error {
	return b.text(func(dst []byte) []byte {
		return append(appendJSONPosition(append(dst, `{"op":"live"`...), at), '}')
	})
}

func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, "true"...)
	}
	return append(dst, "false"...)
}

// readHistory reads the value of a key that is about history.
func (r *jsonRequest) readHistory(d requestReader, key string) (err error) {
	switch key {
	case "history":
		r.history, err = d.bool(key)
	case "queue":
		var name string
		name, err = d.string(key)
		r.queue = &name
	case "last":
		r.last, err = d.bool(key)
	case "topics":
		r.topics, err = d.topics(key)
	case "at":
		var text string
		text, err = d.string(key)
		r.at = parsePosition(text)
	}
	return err
}

// historyRequest returns what the object asks of a history; nil if it is something else.
func (r *jsonRequest) historyRequest() *HistoryRequest {
	switch {
	case r.op == opResume:
		return &HistoryRequest{Op: HistoryResume, Topics: r.topics, At: r.at}
	case r.op == opAck:
		return &HistoryRequest{Op: HistoryAck, At: r.at}
	case r.op == opSubscribe && r.last:
		return &HistoryRequest{Op: HistoryLast, Topics: [][]byte{r.topic}}
	}
	return nil
}

func (d requestReader) bool(key string) (bool, error) {
	t, err := d.Token()
	b, ok := t.(bool)
	if err != nil || !ok {
		return false, errors.New(key + " must be true or false")
	}
	return b, nil
}

// topics reads an array of topics, of any length: the size of the object is limited.
func (d requestReader) topics(key string) (topics [][]byte, err error) {
	if err := d.delim('[', "an array of topics"); err != nil {
		return nil, err
	}
	for d.More() {
		topic, err := d.frame(key)
		if err != nil {
			return nil, err
		}
		topics = append(topics, topic)
	}
	return topics, d.delim(']', "the end of the topics")
}
