package natsstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
)

// A message of the stream is a batch, or a part of one that is larger than what the servers accept.
// All numbers are big endian.
//
//	message = version flags writer first count data   ; 1+1+8+8+4 bytes, and the data
//
// first and count are those of the whole batch. The parts of a batch follow each other.
const (
	version    = 1
	headerSize = 1 + 1 + 8 + 8 + 4

	firstRelease = 1735689600 // Unix time, 2025: no sequence is older

	flagMore  = 1 // another part follows
	flagLater = 2 // it is not the first part
	flagStart = 4 // the batch begins a generation
)

// message is a message of the stream.
type message struct {
	flags  byte
	writer uint64 // generation of the leader that has written it
	first  uint64
	count  int
	data   []byte
}

// identity is what no two batches of a stream have in common.
type identity struct {
	writer, first uint64
	count         int
}

func (m *message) identity() identity { return identity{m.writer, m.first, m.count} }

// parseStored returns a message as the stream has it. ok is false for one that no bridge has written:
// bridges name the sequence of the message before theirs. A stream that was restored by way of another
// one has that no more, but sequences that tell a time.
func parseStored(header nats.Header, data []byte, now time.Time) (m message, ok bool, err error) {
	m, err = parseMessage(data)
	if header.Get(jetstream.ExpectedLastSeqHeader) != "" {
		return m, true, err
	}
	if began := int64(m.first >> generationBits); err != nil || began < firstRelease || began > now.Add(24*time.Hour).Unix() {
		return message{}, false, nil
	}
	return m, true, nil
}

var errMessage = errors.New("a message of the stream is malformed")

func parseMessage(p []byte) (m message, err error) {
	switch {
	case len(p) < headerSize:
		return m, errMessage
	case p[0] != version:
		return m, fmt.Errorf("the stream has messages of version %d, want %d: run the same zwsbridge on all bridges", p[0], version)
	}
	return message{
		flags: p[1], writer: binary.BigEndian.Uint64(p[2:]), first: binary.BigEndian.Uint64(p[10:]),
		count: int(binary.BigEndian.Uint32(p[18:])), data: p[headerSize:],
	}, nil
}

// encode returns b as messages of at most most bytes.
func encode(b history.Batch, writer uint64, flags byte, most int) (parts [][]byte) {
	most = max(most-headerSize, 1)
	for data := b.Data; ; flags |= flagLater {
		n := min(len(data), most)
		f := flags
		if n < len(data) {
			f |= flagMore
		}
		p := make([]byte, 0, headerSize+n)
		p = append(p, version, f)
		p = binary.BigEndian.AppendUint64(p, writer)
		p = binary.BigEndian.AppendUint64(p, b.First)
		p = binary.BigEndian.AppendUint32(p, uint32(b.Count))
		parts = append(parts, append(p, data[:n]...))
		if data = data[n:]; len(data) == 0 {
			return parts
		}
	}
}

// headerRoom is what the NATS headers of a message need at most: a line for the version and one with
// the sequence of the message before. The server counts them as part of the message.
const headerRoom = 128

// maxMessage is the size of the largest message that the servers accept beside its headers.
func (s *Share) maxMessage() int { return int(s.conn.MaxPayload()) - headerRoom }

// assembler puts the parts of batches together.
type assembler struct {
	id   identity
	data []byte
	open bool
}

// add returns the batch that m completes. ok is false if it completes none. A batch whose writer was
// replaced before its last part is dropped.
func (a *assembler) add(m *message) (b history.Batch, ok bool) {
	b = history.Batch{First: m.first, Count: m.count, Data: m.data}
	switch later := m.flags&flagLater != 0; {
	case !later && m.flags&flagMore == 0:
		a.open, a.data = false, nil
		return b, true
	case !later:
		a.open, a.id, a.data = true, m.identity(), append([]byte(nil), m.data...)
		return b, false
	case !a.open || a.id != m.identity():
		a.open, a.data = false, nil
		return b, false
	}
	a.data = append(a.data, m.data...)
	if m.flags&flagMore != 0 {
		return b, false
	}
	b.Data = a.data
	a.open, a.data = false, nil
	return b, true
}
