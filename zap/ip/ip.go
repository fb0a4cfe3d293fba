package ip

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/zwsbridge/zwsbridge/zap"
)

// Options lists ranges of addresses in CIDR notation, or single addresses.
//
// All ranges are ranges of IPv6 addresses, where IPv4 is ::ffff:0:0/96: 10.0.0.0/8 and
// ::ffff:10.0.0.0/104 are the same range and match a peer whether its socket reports 10.1.2.3
// or ::ffff:10.1.2.3, and ::/0 matches every address. As in RabbitMQ's ip_range,
// 172.22.0.0/112 is another way to write 172.22.0.0/16. Bits after the prefix are ignored.
type Options struct {
	// Allow lists the ranges that are accepted; none means every address that is not in
	// Deny.
	Allow []string
	// Deny lists ranges that are refused even if they are in Allow.
	Deny []string
	// TagMasks lists, for each tag of a user (Tags in the reply's metadata, separated by
	// spaces), the ranges that are accepted, in addition to the checks of Allow and Deny. If
	// a user has several of these tags, one has to match.
	TagMasks map[string][]string
	// DefaultMasks lists the ranges for users without any of the tags in TagMasks. If
	// TagMasks is not empty and DefaultMasks is, those users are refused.
	DefaultMasks []string
}

// Rules implements [zap.Handler], [zap.Authorizer] and [zap.Reviewer]. It does not change and
// is safe for concurrent use.
//
// A peer without a valid address, as on ipc, matches no range and is refused.
type Rules struct {
	allow, deny []netip.Prefix
	tagged      map[string][]netip.Prefix
	untagged    []netip.Prefix
	masks       bool // tagged and untagged are used
}

// New parses the ranges. Options without any range are an error.
func New(o Options) (*Rules, error) {
	r := &Rules{tagged: make(map[string][]netip.Prefix)}
	var err error
	if r.allow, err = parseAll(o.Allow); err != nil {
		return nil, fmt.Errorf("ip: allow: %w", err)
	}
	if r.deny, err = parseAll(o.Deny); err != nil {
		return nil, fmt.Errorf("ip: deny: %w", err)
	}
	for tag, masks := range o.TagMasks {
		if r.tagged[tag], err = parseAll(masks); err != nil {
			return nil, fmt.Errorf("ip: masks of tag %q: %w", tag, err)
		}
	}
	if r.untagged, err = parseAll(o.DefaultMasks); err != nil {
		return nil, fmt.Errorf("ip: default masks: %w", err)
	}
	r.masks = len(o.TagMasks) > 0 || len(o.DefaultMasks) > 0
	if len(o.Allow) == 0 && len(o.Deny) == 0 && !r.masks {
		return nil, errors.New("ip: no ranges in allow, deny or masks: use 0.0.0.0/0 for any IPv4 address")
	}
	return r, nil
}

// Authenticate answers NULL with 200 and an empty user, or with 400. It passes other mechanisms.
func (r *Rules) Authenticate(_ context.Context, req *zap.Request) (*zap.Reply, error) {
	if req.Mechanism != zap.NULL {
		return nil, zap.Pass("%s is not decided by address", req.Mechanism)
	}
	reply := &zap.Reply{Status: zap.OK, Text: "OK"}
	if err := r.Review(req, reply); err != nil {
		return &zap.Reply{Status: zap.Refused, Text: err.Error()}, nil
	}
	return reply, nil
}

// Guarded implements [zap.Guarded]: an address cannot be guessed.
func (r *Rules) Guarded() {}

// Authorize returns [zap.ErrDenied] if the rules do not allow the peer's address.
func (r *Rules) Authorize(_ context.Context, req *zap.Request, reply *zap.Reply) error {
	return r.Review(req, reply)
}

// Review implements [zap.Reviewer]; it decides as Authorize does.
func (r *Rules) Review(req *zap.Request, reply *zap.Reply) error {
	ip, ok := req.IP()
	if !ok {
		return fmt.Errorf("%w: peer has no IP address", zap.ErrDenied)
	}
	ip = netip.AddrFrom16(ip.As16())
	switch {
	case contains(r.deny, ip):
		return fmt.Errorf("%w: address %s is in deny", zap.ErrDenied, ip.Unmap())
	case len(r.allow) > 0 && !contains(r.allow, ip):
		return fmt.Errorf("%w: address %s is not in allow", zap.ErrDenied, ip.Unmap())
	case r.masks && !contains(r.masksFor(reply), ip):
		return fmt.Errorf("%w: address %s is not in the masks of the user's tags", zap.ErrDenied, ip.Unmap())
	}
	return nil
}

// masksFor returns the masks for the user's tags.
func (r *Rules) masksFor(reply *zap.Reply) []netip.Prefix {
	var masks []netip.Prefix
	tagged := false
	for tag := range strings.FieldsSeq(reply.Metadata.Get("Tags")) {
		if of, ok := r.tagged[tag]; ok {
			tagged = true
			masks = append(masks, of...)
		}
	}
	if !tagged {
		return r.untagged
	}
	return masks
}

func contains(ranges []netip.Prefix, ip netip.Addr) bool {
	return slices.ContainsFunc(ranges, func(p netip.Prefix) bool { return p.Contains(ip) })
}

func parseAll(ranges []string) ([]netip.Prefix, error) {
	var parsed []netip.Prefix
	for _, s := range ranges {
		p, err := parse(s)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, p)
	}
	return parsed, nil
}

// parse parses a range into a prefix of 128 bits.
func parse(s string) (netip.Prefix, error) {
	bad := func(why string) (netip.Prefix, error) {
		return netip.Prefix{}, fmt.Errorf("range %q: %s, want an address or CIDR such as 10.0.0.0/8 or fd00::/8", s, why)
	}
	address, length, ranged := strings.Cut(s, "/")
	ip, err := netip.ParseAddr(address)
	switch {
	case err != nil:
		return bad("not an IP address")
	case ip.Zone() != "":
		return bad("address has a zone")
	}
	bits := 128
	if ranged {
		n, err := strconv.ParseUint(length, 10, 8)
		if err != nil {
			return bad("invalid prefix length")
		}
		bits = int(n)
		if ip.Is4() && bits <= 32 {
			bits += 96
		}
		if bits > 128 || ip.Is4() && bits < 96 {
			return bad("prefix length out of range")
		}
	}
	return netip.PrefixFrom(netip.AddrFrom16(ip.As16()), bits).Masked(), nil
}
