package filestore

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// BenchmarkAppend appends messages of about 100 bytes to a log with a store, so many for each read.
func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct {
		topics, read int
		sync         time.Duration
	}{{1000, 50, time.Second}, {1000, 200, time.Second}, {200_000, 50, time.Second}, {1000, 50, 0}} {
		b.Run(fmt.Sprintf("topics=%d/read=%d/sync=%v", c.topics, c.read, c.sync), func(b *testing.B) {
			topics := make([][]byte, c.topics)
			for i := range topics {
				topics[i] = fmt.Appendf(nil, "house/%d/temperature", i)
			}
			s, err := Open(b.TempDir(), Options{Sync: c.sync})
			if err != nil {
				b.Fatal(err)
			}
			l, err := history.New(history.Options{Topics: [][]byte{{}}, LastValues: true, Store: s})
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			m := zmtp.Message{nil, make([]byte, 80)}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				m[0] = topics[i%len(topics)]
				l.Append(m)
				if i%c.read == c.read-1 {
					if err := l.Flush(); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkPlainFile writes as many bytes to a file, without batches, log or index.
func BenchmarkPlainFile(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "plain"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	const read = 50
	p := make([]byte, read*103)
	for i := 0; b.Loop(); i++ {
		if i%read == read-1 {
			if _, err := f.Write(p); err != nil {
				b.Fatal(err)
			}
		}
	}
}
