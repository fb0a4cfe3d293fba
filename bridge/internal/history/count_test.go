package history

import (
	"fmt"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestCount counts what follows a position, by a scan and by topics.
func TestCount(t *testing.T) {
	l, err := New(Options{Topics: [][]byte{nil}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	begin := l.End()
	var middle Position
	const messages = 20_000
	for n := range messages {
		if n == messages/2 {
			middle = l.End()
		}
		l.Append(zmtp.Message{fmt.Append(nil, "t", n%100, "/")})
	}
	all, one := [][]byte{nil}, [][]byte{[]byte("t7/")}
	for _, tc := range []struct {
		at     Position
		topics [][]byte
		limit  int
		want   int
	}{
		{begin, all, 1 << 30, messages},
		{begin, all, 10_000, 10_000},
		{middle, all, 1 << 30, messages / 2},
		{middle, one, 1 << 30, messages / 200},
		{begin, one, 30, 30},
		{l.End(), all, 10, 0},
		{begin, all, 0, 0},
		{begin, nil, 10, 0},
		{Position{}, one, 1 << 30, messages / 100}, // unknown: what is kept
	} {
		if got := l.Count(tc.at, NewMatch(tc.topics, nil), tc.limit); got != tc.want {
			t.Errorf("after %v, topics %q, limit %d: %d, want %d", tc.at.Sequence, tc.topics, tc.limit, got, tc.want)
		}
	}
}
