package zap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Property is one name and value in [Metadata].
type Property struct {
	Name  string // 1 to 255 bytes, case-insensitive
	Value string // any bytes
}

// Metadata is a list of properties, in the form that 23/ZMTP and 27/ZAP share:
//
//	metadata = *property
//	property = name-size(1) name value-size(4, network order) value
//
// The order is kept, so that parsed metadata marshals to the same bytes.
type Metadata []Property

// MaxProperties is the largest number of properties that [ParseMetadata] accepts.
const MaxProperties = 64

var errMetadata = errors.New("zap: malformed metadata")

// Get returns the value of the first property with that name, or "".
func (m Metadata) Get(name string) string {
	v, _ := m.Lookup(name)
	return v
}

// Lookup returns the value of the first property with that name and whether there is one.
func (m Metadata) Lookup(name string) (string, bool) {
	for _, p := range m {
		if strings.EqualFold(p.Name, name) {
			return p.Value, true
		}
	}
	return "", false
}

// MaxExpires is the latest value of the property Expires that limits a login: the end of the
// year 9999 in Unix seconds, the last time that RFC 3339, and with it JSON, can write.
const MaxExpires = 253402300799

// Expires returns when the login ends: the value of the property Expires, in Unix seconds.
// limited is false if the property is missing or its value is after [MaxExpires]: the login
// does not end. A value that is not an integer is an error.
func (m Metadata) Expires() (end time.Time, limited bool, err error) {
	text, ok := m.Lookup("Expires")
	if !ok {
		return time.Time{}, false, nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("zap: metadata Expires is %.50q: want Unix seconds", text)
	}
	if seconds > MaxExpires {
		return time.Time{}, false, nil
	}
	return time.Unix(seconds, 0), true, nil
}

// Append appends the wire form of m to dst. It panics if a name is empty or longer than 255
// bytes, which neither our own nor parsed names are.
func (m Metadata) Append(dst []byte) []byte {
	for _, p := range m {
		if len(p.Name) == 0 || len(p.Name) > 255 {
			panic("zap: metadata name is empty or longer than 255 bytes: " + p.Name)
		}
		dst = append(dst, byte(len(p.Name)))
		dst = append(dst, p.Name...)
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(p.Value)))
		dst = append(dst, p.Value...)
	}
	return dst
}

// ParseMetadata parses the wire form. Truncated input, an empty name and more than
// [MaxProperties] properties are errors. Nothing is allocated for a size that exceeds the
// input.
func ParseMetadata(b []byte) (Metadata, error) {
	var m Metadata
	for len(b) > 0 {
		if len(m) == MaxProperties {
			return nil, errMetadata
		}
		n := int(b[0])
		if n == 0 || len(b) < 1+n+4 {
			return nil, errMetadata
		}
		name, rest := string(b[1:1+n]), b[1+n:]
		size := binary.BigEndian.Uint32(rest)
		rest = rest[4:]
		if uint64(size) > uint64(len(rest)) {
			return nil, errMetadata
		}
		m = append(m, Property{name, string(rest[:size])})
		b = rest[size:]
	}
	return m, nil
}
