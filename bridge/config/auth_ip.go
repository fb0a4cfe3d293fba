package config

import (
	"maps"
	"slices"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/ip"
)

func init() { registerAuth("ip", func() AuthKind { return &IP{} }) }

// IP is type = "ip": addresses from which clients may log in.
type IP struct {
	Allow []string `toml:"allow"`
	Deny  []string `toml:"deny"`
	// TagMasks and DefaultMasks are those of RabbitMQ: a user with one of the tags must
	// come from one of its networks, a user with none of them from one of the defaults.
	TagMasks     map[string][]string `toml:"tag_masks"`
	DefaultMasks []string            `toml:"default_masks"`
}

func (*IP) decides() []zap.Mechanism { return []zap.Mechanism{zap.NULL} }

// Secrets implements [AuthKind].
func (*IP) Secrets() []Secret { return nil }

// Fingerprint implements [AuthKind].
func (*IP) Fingerprint() string { return "" }

func (*IP) authorizes() {}

func (s *IP) validate(c *checker, key string) {
	ranges := func(key string, list []string) {
		for i, r := range list {
			if _, err := ip.New(ip.Options{Allow: []string{r}}); err != nil {
				c.fault(entry(key, i), `is %q: want a range like "10.0.0.0/8" or an address`, r)
			}
		}
	}
	ranges(key+".allow", s.Allow)
	ranges(key+".deny", s.Deny)
	ranges(key+".default_masks", s.DefaultMasks)
	for _, tag := range slices.Sorted(maps.Keys(s.TagMasks)) {
		ranges(joinKey(key+".tag_masks", tag), s.TagMasks[tag])
	}
	if len(s.Allow)+len(s.Deny)+len(s.DefaultMasks)+len(s.TagMasks) == 0 {
		c.fault(key, `has no range: want allow, deny, tag_masks or default_masks, "0.0.0.0/0" for any IPv4 address`)
	}
}
