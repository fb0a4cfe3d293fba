package discover

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// udpSize is how large an answer over UDP can be, in bytes. It fits into a packet of IPv6
// everywhere (RFC 9715).
const udpSize = 1232

// newQuery returns a query with a random id.
func newQuery(id uint16, name dnsmessage.Name) ([]byte, error) {
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: id, RecursionDesired: true})
	b.EnableCompression()
	if err := errors.Join(b.StartQuestions(), b.Question(question(name)), b.StartAdditionals()); err != nil {
		return nil, err
	}
	var opt dnsmessage.ResourceHeader
	if err := opt.SetEDNS0(udpSize, dnsmessage.RCodeSuccess, false); err != nil {
		return nil, err
	}
	if err := b.OPTResource(opt, dnsmessage.OPTResource{}); err != nil {
		return nil, err
	}
	return b.Finish()
}

func question(name dnsmessage.Name) dnsmessage.Question {
	return dnsmessage.Question{Name: name, Type: dnsmessage.TypeSRV, Class: dnsmessage.ClassINET}
}

// errForeign means that a message is not the answer to the query, perhaps forged.
var errForeign = errors.New("not the answer to the query")

// errTruncated means that the answer has to be asked for by TCP.
var errTruncated = errors.New("truncated answer")

// answer is what a server knows of a name.
type answer struct {
	endpoints []Endpoint
	// next is the name to ask for, if the name is an alias and the answer does not have the
	// records of its target.
	next string
	ttl  time.Duration // of the records, or of their absence
	// skipped counts records that name no endpoint.
	skipped int
}

// maxAliases limits a chain of CNAME records.
const maxAliases = 8

// parseAnswer reads the answer to the query for name with that id. Errors: errForeign,
// errTruncated, or that the server has refused or cannot answer.
func parseAnswer(msg []byte, id uint16, name dnsmessage.Name) (*answer, error) {
	var p dnsmessage.Parser
	h, err := p.Start(msg)
	if err != nil || h.ID != id || !h.Response {
		return nil, errForeign
	}
	questions, err := p.AllQuestions()
	if err != nil || len(questions) != 1 || !sameQuestion(questions[0], question(name)) {
		return nil, errForeign
	}
	if h.Truncated {
		return nil, errTruncated
	}
	if h.RCode != dnsmessage.RCodeSuccess && h.RCode != dnsmessage.RCodeNameError {
		return nil, fmt.Errorf("the server answers %s", strings.TrimPrefix(h.RCode.String(), "RCode"))
	}
	records, err := p.AllAnswers()
	if err != nil {
		return nil, fmt.Errorf("invalid answer: %w", err)
	}
	a, last := collect(records, name)
	if len(a.endpoints)+a.skipped == 0 {
		a.ttl = negativeTTL(&p, a.ttl)
		if last != name && h.RCode == dnsmessage.RCodeSuccess {
			a.next = last.String()
		}
	}
	return a, nil
}

func sameQuestion(a, b dnsmessage.Question) bool {
	return a.Type == b.Type && a.Class == b.Class && sameName(a.Name, b.Name)
}

func sameName(a, b dnsmessage.Name) bool { return strings.EqualFold(a.String(), b.String()) }

// collect follows the aliases of name among the records and returns the SRV records of the last
// one, and its name.
func collect(records []dnsmessage.Resource, name dnsmessage.Name) (*answer, dnsmessage.Name) {
	a := &answer{ttl: maxInterval}
	lower := func(ttl uint32) { a.ttl = min(a.ttl, time.Duration(ttl)*time.Second) }
	for range maxAliases {
		next := name
		for _, r := range records {
			if c, ok := r.Body.(*dnsmessage.CNAMEResource); ok && sameName(r.Header.Name, name) {
				next = c.CNAME
				lower(r.Header.TTL)
			}
		}
		if sameName(next, name) {
			break
		}
		name = next
	}
	for _, r := range records {
		srv, ok := r.Body.(*dnsmessage.SRVResource)
		if !ok || r.Header.Class != dnsmessage.ClassINET || !sameName(r.Header.Name, name) {
			continue
		}
		lower(r.Header.TTL)
		if e, ok := endpointOf(srv); ok {
			a.endpoints = append(a.endpoints, e)
		} else {
			a.skipped++
		}
	}
	return a, name
}

// endpointOf returns the endpoint of an SRV record. The target "." means that there is none (RFC
// 2782). Priority and weight do not count: the bridge connects to all.
func endpointOf(srv *dnsmessage.SRVResource) (Endpoint, bool) {
	host := strings.TrimSuffix(srv.Target.String(), ".")
	if srv.Port == 0 || !ValidName(host) {
		return Endpoint{}, false
	}
	return Endpoint{Address: fmt.Sprintf("tcp://%s:%d", host, srv.Port)}, true
}

// ValidName reports whether name can be that of a host or service: labels of at most 63 letters,
// digits, "-" and "_" between dots, and at most 253 bytes.
func ValidName(name string) bool {
	for label := range strings.SplitSeq(name, ".") {
		bad := strings.ContainsFunc(label, func(r rune) bool {
			return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_')
		})
		if label == "" || len(label) > 63 || bad {
			return false
		}
	}
	return len(name) <= 253
}

// negativeTTL returns how long a missing name can be taken for missing (RFC 2308, section 5), at
// most most.
func negativeTTL(p *dnsmessage.Parser, most time.Duration) time.Duration {
	authorities, err := p.AllAuthorities()
	if err != nil {
		return most
	}
	for _, r := range authorities {
		if soa, ok := r.Body.(*dnsmessage.SOAResource); ok {
			return min(most, time.Duration(min(r.Header.TTL, soa.MinTTL))*time.Second)
		}
	}
	return most
}
