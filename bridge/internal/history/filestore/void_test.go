package filestore

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestDiskFullLastValues: while nothing can be stored, what is kept of a topic is not its last value
// once a newer message has come, then or after a restart.
func TestDiskFullLastValues(t *testing.T) {
	for _, many := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			d := &disk{room: 1 << 20}
			dir := t.TempDir()
			o := history.Options{LastValues: true, MaxBytes: 64 << 10}
			l := openLog(t, dir, o, Options{create: d.create})
			for _, topic := range []string{"batch", "missed", "quiet"} {
				publish(t, l, topic, "old")
			}
			d.set(0)
			l.Append(zmtp.Message{[]byte("batch"), []byte("new")})
			if l.Flush() == nil {
				t.Fatal("stored on a full disk")
			}
			l.Append(zmtp.Message{[]byte("missed"), []byte("new")})
			if many { // more topics than can be told
				for range 2 {
					l.Append(zmtp.Message{[]byte(strings.Repeat("x", 5000)), nil})
				}
			}
			wantLines(t, "last values while the disk is full", last(l), []string{"batch new", "quiet old"})
			time.Sleep(2 * time.Second)
			d.set(1 << 20)
			if err := l.Flush(); err != nil {
				t.Fatal(err)
			}
			want := []string{"quiet old"}
			if many {
				want = nil
			}
			publish(t, l, "fresh", "1")
			want = append([]string{"fresh 1"}, want...)
			wantLines(t, "last values afterwards", last(l), want)
			wantLines(t, "last values after a restart", last(openLog(t, copyDir(t, dir), o, Options{})), want)
			publish(t, l, "missed", "newer")
			publish(t, l, "batch", "newer")
			want = append(append([]string{"batch newer"}, want[:1]...), append([]string{"missed newer"}, want[1:]...)...)
			wantLines(t, "last values after new messages", last(l), want)
			wantLines(t, "and after a restart", last(openLog(t, copyDir(t, dir), o, Options{})), want)
		})
	}
}
