package natsstore

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
)

// parse parses parts as encode makes them.
func parse(t testing.TB, parts ...[]byte) []message {
	t.Helper()
	list := make([]message, len(parts))
	for i, p := range parts {
		var err error
		if list[i], err = parseMessage(p); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

func sameBatch(a, b history.Batch) bool {
	return a.First == b.First && a.Count == b.Count && bytes.Equal(a.Data, b.Data)
}

// TestFrames: a batch of any size is written in parts that are not larger than what the servers take,
// and the parts give the batch.
func TestFrames(t *testing.T) {
	const most = headerSize + 10
	for size := range 35 {
		b := history.Batch{First: 1 << 40, Count: 7, Data: []byte(strings.Repeat("0123456789", 4)[:size])}
		parts := encode(b, 99, flagStart, most)
		if want := max((size+9)/10, 1); len(parts) != want {
			t.Errorf("%d bytes: %d parts, want %d", size, len(parts), want)
		}
		var a assembler
		for i, m := range parse(t, parts...) {
			if len(parts[i]) > most {
				t.Errorf("%d bytes: part %d has %d bytes, want at most %d", size, i, len(parts[i]), most)
			}
			if m.writer != 99 || m.flags&flagStart == 0 {
				t.Errorf("%d bytes: part %d is of writer %d with flags %d", size, i, m.writer, m.flags)
			}
			got, ok := a.add(&m)
			if last := i == len(parts)-1; ok != last || ok && !sameBatch(got, b) {
				t.Errorf("%d bytes: part %d of %d gave %v, %v", size, i+1, len(parts), got, ok)
			}
		}
	}
}

// TestAssembler: only parts of one batch that follow each other give it.
func TestAssembler(t *testing.T) {
	split := func(writer uint64, first uint64, data string) [][]byte {
		return encode(history.Batch{First: first, Count: 1, Data: []byte(data)}, writer, 0, headerSize+2)
	}
	abc, whole := split(1, 10, "aabbcc"), split(1, 11, "w")
	other, next := split(2, 10, "xxyyzz"), split(1, 20, "ddee")
	for _, tc := range []struct {
		name  string
		parts [][]byte
		want  []string // the data of the batches
	}{
		{"in order", slices.Concat(abc, whole, next), []string{"aabbcc", "w", "ddee"}},
		{"the writer was replaced before its last part", slices.Concat(abc[:2], other), []string{"xxyyzz"}},
		{"the rest of a replaced writer", slices.Concat(abc[:2], other[:1], abc[2:], other[1:]), nil},
		{"sent again from the first part on", slices.Concat(abc[:2], abc), []string{"aabbcc"}},
		{"without the first part", slices.Concat(abc[1:], whole), []string{"w"}},
		{"only the last part", abc[2:], nil},
		{"another batch in between", slices.Concat(abc[:2], whole, abc[2:]), []string{"w"}},
		{"another batch of the same writer", slices.Concat(abc[:1], next[1:]), nil},
	} {
		var a assembler
		var got []string
		for _, m := range parse(t, tc.parts...) {
			if b, ok := a.add(&m); ok {
				got = append(got, string(b.Data))
			}
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

// TestParseStored: what no bridge has written is skipped, and what a bridge of another version has
// written is an error.
func TestParseStored(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	at := func(seconds int64) []byte {
		return encode(history.Batch{First: uint64(seconds) << generationBits, Count: 1, Data: []byte("d")}, 1, 0, 100)[0]
	}
	named := nats.Header{jetstream.ExpectedLastSeqHeader: {"5"}}
	later := at(now.Unix())
	later[0] = 2
	for _, tc := range []struct {
		name   string
		header nats.Header
		data   []byte
		known  bool
		err    string
	}{
		{"a bridge's", named, at(now.Unix()), true, ""},
		{"a bridge's, with sequences of a wrong clock", named, at(1), true, ""},
		{"restored", nil, at(now.Unix() - 3600), true, ""},
		{"restored, before any release", nil, at(firstRelease - 1), false, ""},
		{"restored, of the day after tomorrow", nil, at(now.Unix() + 48*3600), false, ""},
		{"another version's", named, later, true, "messages of version 2, want 1"},
		{"a stranger's", nil, []byte("hello"), false, ""},
		{"a stranger's that looks like another version's", nil, later, false, ""},
		{"a stranger's with the header", named, []byte("hello"), true, errMessage.Error()},
		{"empty", nil, nil, false, ""},
	} {
		m, known, err := parseStored(tc.header, tc.data, now)
		if known != tc.known || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s: known %v, error %v; want %v, %q", tc.name, known, err, tc.known, tc.err)
		}
		if !known && m.identity() != (identity{}) {
			t.Errorf("%s: it is %+v, want the zero message", tc.name, m)
		}
	}
}

// FuzzFrames: what is parsed is what encode makes of it, and the assembler only gives batches that were
// written.
func FuzzFrames(f *testing.F) {
	batch := history.Batch{First: 1 << 60, Count: 3, Data: []byte("some records")}
	for _, most := range []int{headerSize + 5, 1000} {
		f.Add(bytes.Join(encode(batch, 42, 0, most), nil), uint16(headerSize+5))
	}
	f.Add([]byte("\x02 of a later version"), uint16(3))
	f.Add([]byte{}, uint16(1))
	f.Fuzz(func(t *testing.T, text []byte, size uint16) {
		var a assembler
		var open []byte // the data of the parts since the first one
		for p := range slices.Chunk(text, max(int(size), 1)) {
			m, err := parseMessage(p)
			if err != nil {
				if len(p) >= headerSize && p[0] == version || errors.Is(err, errMessage) != (len(p) < headerSize) {
					t.Fatalf("%x: %v", p, err)
				}
				continue
			}
			b := history.Batch{First: m.first, Count: m.count, Data: m.data}
			if again := encode(b, m.writer, m.flags, len(p)); len(again) != 1 || !bytes.Equal(again[0], p) {
				t.Fatalf("%x is encoded as %x", p, again)
			}
			if m.flags&flagLater == 0 {
				open = nil
			}
			open = append(open, m.data...)
			if got, ok := a.add(&m); ok && (got.First != m.first || got.Count != m.count || !bytes.Equal(got.Data, open)) {
				t.Fatalf("got %+v, want the data %x", got, open)
			}
			if len(a.data) > len(open) {
				t.Fatalf("%d bytes are kept of %d", len(a.data), len(open))
			}
		}
	})
}
