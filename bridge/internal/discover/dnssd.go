package discover

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/internal/dnssd"
)

// DNSSDOptions are the options of [NewDNSSD].
type DNSSDOptions struct {
	Service string // like "_zmtp._tcp"
	// NeedsKey is set if the mechanism of the route is CURVE; otherwise announced keys are not
	// used.
	NeedsKey bool
	// RouteKey is the server key of the route, for instances whose announced key is not used; zero
	// if it has none.
	RouteKey [32]byte
	// Trusts reports whether the announced key of an instance is used.
	Trusts func(key [32]byte) bool
}

// announced are the instances of a service in the local network.
type announced struct {
	o      DNSSDOptions
	browse func(ctx context.Context, service string, report func([]dnssd.Service)) error
}

// NewDNSSD returns the source of the instances of a service type in the local network, each an
// endpoint with an address of its host. The TXT key curve is the server key of an instance, in
// Z85; an instance without a key that the route can use is ignored.
func NewDNSSD(o DNSSDOptions) Source { return &announced{o, dnssd.Browse} }

// Run implements [Source].
func (a *announced) Run(ctx context.Context, report func(Report)) {
	report = distinct(report)
	for {
		err := a.browse(ctx, a.o.Service, func(list []dnssd.Service) { report(a.endpoints(list)) })
		if ctx.Err() != nil {
			return
		}
		report(Report{Err: err})
		if !sleep(ctx, minInterval) {
			return
		}
	}
}

// maxIgnored is how many instances are named that are ignored.
const maxIgnored = 5

// endpoints returns those that can be connected to.
func (a *announced) endpoints(list []dnssd.Service) (r Report) {
	var endpoints []Endpoint
	var ignored []string
	for _, s := range list {
		key, err := a.key(&s)
		if err != nil {
			ignored = append(ignored, fmt.Sprintf("%q at %s: %v", s.Instance, s.Addr, err))
			continue
		}
		endpoints = append(endpoints, Endpoint{Address: "tcp://" + s.Addr.String(), ServerKey: key})
	}
	if more := len(ignored) - maxIgnored; more > 0 {
		ignored = append(ignored[:maxIgnored], fmt.Sprintf("and %d more", more))
	}
	r.Ignored = strings.Join(ignored, "; ")
	r.Endpoints, r.Err = listed(endpoints)
	return r
}

// key returns the server key of an instance; zero means that of the route.
func (a *announced) key(s *dnssd.Service) (key [32]byte, err error) {
	if !a.o.NeedsKey {
		return key, nil
	}
	why := errors.New("it announces no key (TXT curve=…), and the route has no server_key")
	if text, ok := s.Value("curve"); ok {
		if key, err = certs.DecodeKey(text); err != nil {
			why = fmt.Errorf("its TXT curve is not a CURVE public key: %w", err)
		} else if a.o.Trusts(key) {
			return key, nil
		} else {
			why = fmt.Errorf("its key %s is not in server_keys", text)
		}
	}
	if a.o.RouteKey != ([32]byte{}) {
		return [32]byte{}, nil
	}
	return [32]byte{}, why
}
