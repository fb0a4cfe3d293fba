package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/zwsbridge/zwsbridge/certs"
)

// Size is a number of bytes: in the file a whole number, or a string like "16KiB".
type Size int64

// units are the suffixes of a size.
var units = []struct {
	suffix string
	bytes  int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},
	{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1},
}

// UnmarshalText reads a whole number of B, KiB, MiB, GiB, kB, MB or GB; without a unit it is
// bytes.
func (s *Size) UnmarshalText(text []byte) error {
	number, factor := string(text), int64(1)
	for _, u := range units {
		if n, ok := strings.CutSuffix(number, u.suffix); ok {
			number, factor = strings.TrimSpace(n), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if errors.Is(err, strconv.ErrRange) || err == nil && n > (1<<62)/factor {
		return fmt.Errorf("is %q: want less than 4294967296 GiB", text)
	}
	if err != nil || n < 0 {
		return fmt.Errorf(`is %q: want a whole number with B, KiB, MiB, GiB, kB, MB or GB, like "16KiB"`, text)
	}
	*s = Size(n * factor)
	return nil
}

// Interval is the shortest and the longest of some durations: in the file "100ms..10s".
type Interval struct{ Min, Max time.Duration }

// UnmarshalText reads two durations with two dots between them.
func (i *Interval) UnmarshalText(text []byte) error {
	first, second, _ := strings.Cut(string(text), "..")
	least, err := time.ParseDuration(first)
	most, err2 := time.ParseDuration(second)
	if err != nil || err2 != nil || least <= 0 || most < least {
		return fmt.Errorf(`is %q: want the shortest and the longest duration, like "100ms..10s"`, text)
	}
	*i = Interval{least, most}
	return nil
}

// Paths are files or directories: in the file a list, or one string.
type Paths []Path

// Words is a list of words: in the file a list, or one string with spaces between the words.
type Words []string

// CurveKey is a CURVE public key: in the file 40 Z85 characters. Zero means none.
type CurveKey [32]byte

// UnmarshalText reads Z85.
func (k *CurveKey) UnmarshalText(text []byte) error {
	key, err := certs.DecodeKey(string(text))
	if err != nil {
		return fmt.Errorf("is not a CURVE public key (40 Z85 characters): %w", err)
	}
	*k = key
	return nil
}

// IsZero reports whether k is zero.
func (k CurveKey) IsZero() bool { return k == CurveKey{} }

// parseNetwork reads a CIDR prefix or a single address. An IPv4-mapped IPv6 address counts as
// IPv4.
func parseNetwork(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf(`is %q: want a network like "10.0.0.0/8" or an address`, text)
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

// parseDuration reads a duration that is not negative.
func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf(`is %q: want a number with ms, s, m or h, like "10s"`, text)
	}
	return d, nil
}

// HasPlaceholder reports whether s holds a placeholder like {user} or {meta.house}.
func HasPlaceholder(s string) bool {
	open := strings.IndexByte(s, '{')
	return open >= 0 && strings.IndexByte(s[open:], '}') >= 0
}
