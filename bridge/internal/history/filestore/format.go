package filestore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
)

// A file is a header and batches. All numbers are big endian.
//
//	header = magic version kind boot first synced crc   ; 7+1+1+16+8+8+4 bytes
//	batch  = mark length first count crc data           ; 4+4+8+4+4 bytes, and length of data
//
// crc is CRC-32C: in a header over what is before it, in a batch over the length, first, count and
// data.
const (
	magic       = "ZWSHIST"
	version     = 1
	headerSize  = 7 + 1 + 1 + 16 + 8 + 8 + 4
	batchHeader = 4 + 4 + 8 + 4 + 4

	kindSegment = 'L'
	kindCarry   = 'C'
)

// mark is where a batch begins. Behind damage, it is looked for.
var mark = []byte{0xB7, 'z', 'w', 0x1A}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is the beginning of a file.
type header struct {
	kind   byte
	boot   [16]byte // of the system when the file was made (bootID); zero: not known
	first  uint64   // sequence of the first record
	synced uint64   // everything before this sequence was on the disk when the file was made
}

func (h header) append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, magic...)
	dst = append(dst, version, h.kind)
	dst = append(dst, h.boot[:]...)
	dst = binary.BigEndian.AppendUint64(dst, h.first)
	dst = binary.BigEndian.AppendUint64(dst, h.synced)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// parseHeader parses the beginning of a file. ok is false if it is not whole. other is the version
// of a file of another version, else 0.
func parseHeader(p []byte) (h header, other byte, ok bool) {
	if len(p) > len(magic) && bytes.HasPrefix(p, []byte(magic)) && p[len(magic)] != version {
		return header{}, p[len(magic)], false
	}
	if len(p) < headerSize || !bytes.HasPrefix(p, []byte(magic)) ||
		crc32.Checksum(p[:headerSize-4], castagnoli) != binary.BigEndian.Uint32(p[headerSize-4:]) {
		return header{}, 0, false
	}
	h.kind = p[8]
	copy(h.boot[:], p[9:])
	h.first, h.synced = binary.BigEndian.Uint64(p[25:]), binary.BigEndian.Uint64(p[33:])
	return h, 0, true
}

func appendBatch(dst []byte, b history.Batch) []byte {
	dst = append(dst, mark...)
	start := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(b.Data)))
	dst = binary.BigEndian.AppendUint64(dst, b.First)
	dst = binary.BigEndian.AppendUint32(dst, uint32(b.Count))
	crc := crc32.Checksum(dst[start:], castagnoli)
	crc = crc32.Update(crc, castagnoli, b.Data)
	dst = binary.BigEndian.AppendUint32(dst, crc)
	return append(dst, b.Data...)
}

// parseBatch parses the batch at the beginning of p and returns its size. ok is false if there is
// no whole one. The data aliases p.
func parseBatch(p []byte) (b history.Batch, size int, ok bool) {
	if len(p) < batchHeader || !bytes.HasPrefix(p, mark) {
		return b, 0, false
	}
	length := binary.BigEndian.Uint32(p[4:])
	if uint64(length) > uint64(len(p)-batchHeader) {
		return b, 0, false
	}
	b.First, b.Count = binary.BigEndian.Uint64(p[8:]), int(binary.BigEndian.Uint32(p[16:]))
	size = batchHeader + int(length)
	b.Data = p[batchHeader:size:size]
	crc := crc32.Update(crc32.Checksum(p[4:20], castagnoli), castagnoli, b.Data)
	return b, size, crc == binary.BigEndian.Uint32(p[20:])
}

// hasBatch reports whether there is a whole batch anywhere in p.
func hasBatch(p []byte) bool {
	for {
		i := bytes.Index(p, mark)
		if i < 0 {
			return false
		}
		if _, _, ok := parseBatch(p[i:]); ok {
			return true
		}
		p = p[i+1:]
	}
}

// DamagedError reports a file that is damaged where a crash cannot have left it half written.
type DamagedError struct {
	File   string
	Offset int64
	Reason string
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("history file %s is damaged at byte %d (%s): restore it from a copy, or move its directory away, which gives up this route's history",
		e.File, e.Offset, e.Reason)
}

// VersionError reports a file that another version of the program has written.
type VersionError struct {
	File    string
	Version int
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("history file %s has version %d, want %d: run the zwsbridge that wrote it, or move its directory away, which gives up this route's history",
		e.File, e.Version, version)
}

// LockedError reports a directory that another log uses.
type LockedError struct{ Dir string }

func (e *LockedError) Error() string {
	return fmt.Sprintf("history directory %s is in use by another zwsbridge: give each its own history.dir", e.Dir)
}
