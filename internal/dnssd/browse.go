package dnssd

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

const (
	// firstAnswers is how long answers are collected before the first report.
	firstAnswers = time.Second
	// rescanInterval is how often new network interfaces are looked for.
	rescanInterval = 10 * time.Second
)

// Browse reports the instances of a service type, like "_zmtp._tcp", in the local network: a
// second after the start, and then whenever they change. Instances without SRV, TXT or address
// records, and more than 1000, are not reported. report is called by one goroutine. Browse
// returns when ctx is done, with its error, or when the network cannot be used.
func Browse(ctx context.Context, service string, report func([]Service)) error {
	if err := CheckType(service); err != nil {
		return err
	}
	l, err := openLink()
	if err != nil {
		return err
	}
	defer l.close()
	return browse(ctx, l, service, report)
}

// CheckType reports an error if service is not a service type (RFC 6763, 7).
func CheckType(service string) error {
	name, proto, ok := strings.Cut(service, ".")
	valid := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-'
	}
	name, under := strings.CutPrefix(name, "_")
	if !ok || !under || proto != "_tcp" || name == "" || len(name) > 15 || strings.ContainsFunc(name, func(r rune) bool { return !valid(r) }) {
		return fmt.Errorf(`%q is not a service type: want one like "_zmtp._tcp", with at most 15 letters and digits`, service)
	}
	return nil
}

func browse(ctx context.Context, l link, service string, report func([]Service)) error {
	start := time.Now()
	b := newBrowser(service+".local", start)
	rescan := start.Add(rescanInterval)
	var last []Service
	reported := false
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case p := <-l.packets():
			b.receive(p, l.interfaces())
		case <-timer.C:
		}
		now := time.Now()
		if !now.Before(rescan) {
			rescan = now.Add(rescanInterval)
			before := l.interfaces()
			if err := l.rescan(); err != nil {
				return err
			}
			if !reflect.DeepEqual(before, l.interfaces()) {
				b.restart(now)
			}
		}
		if m := b.query(now); m != nil {
			for _, i := range l.interfaces() {
				l.multicast(i.index, m.build())
			}
		}
		wake := minTime(rescan, b.next())
		if first := start.Add(firstAnswers); !now.Before(first) {
			if list := b.services(now); !reported || !reflect.DeepEqual(list, last) {
				reported, last = true, list
				report(slices.Clone(list))
			}
		} else {
			wake = minTime(wake, first)
		}
		timer.Reset(max(time.Until(wake), time.Millisecond))
	}
}

// receive takes a packet.
func (b *browser) receive(p packet, interfaces []iface) {
	if p.from.Port() != port { // RFC 6762, 6
		return
	}
	m, err := parse(p.data)
	if err != nil {
		return
	}
	var of iface
	for _, i := range interfaces {
		if i.index == p.iface {
			of = i
		}
	}
	b.handle(m, of.name, of.loopback, time.Now())
}
