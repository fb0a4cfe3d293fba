package refusal

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/clientaddr"
	"github.com/zwsbridge/zwsbridge/bridge/internal/printable"
	"github.com/zwsbridge/zwsbridge/bridge/internal/repeat"
)

// Kept is how many refusals a [Recorder] keeps.
const Kept = 200

// Recorder logs and keeps refusals. A nil Recorder does neither. All methods may be called concurrently.
type Recorder struct {
	log     *slog.Logger
	repeats *repeat.Limiter

	mu       sync.Mutex
	kept     []Refusal          // the newest last
	networks map[netip.Addr]int // number in kept, by address; IPv6 by /64
}

// New returns a recorder that logs to log, which must not limit repetition itself, as often as
// repeats permits.
func New(log *slog.Logger, repeats *repeat.Limiter) *Recorder {
	return &Recorder{log: log, repeats: repeats, networks: make(map[netip.Addr]int)}
}

// Add logs and keeps a refusal; its Time and Count are set here. It does not block longer than a
// write to the log.
func (r *Recorder) Add(f Refusal) {
	if r == nil {
		return
	}
	if f.Error == f.Reason {
		f.Error = ""
	}
	f.Time = time.Now()
	route := f.Route
	if f.NoRoute {
		route = ""
	}
	r.keep(f.shown())
	r.repeats.Do("refusal\x00"+string(f.Kind)+"\x00"+route+"\x00"+strconv.Itoa(f.Code), func(extra int) { r.write(f, extra) })
}

// write logs a refusal.
func (r *Recorder) write(f Refusal, extra int) {
	attrs := make([]slog.Attr, 0, 10)
	add := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	attrs = append(attrs, slog.String("user", f.User), slog.String("address", f.Address))
	add("route", printable.Text(f.Route, maxText))
	attrs = append(attrs, slog.Int("code", f.Code), slog.String("reason", f.Reason))
	add("error", f.Error)
	add("authenticator", f.Authenticator)
	add("mechanism", printable.Text(f.Mechanism, maxText))
	add("dialect", printable.Text(f.Dialect, maxText))
	add("asker", f.Asker)
	if extra > 0 {
		attrs = append(attrs, slog.Int(repeat.Suppressed, extra))
	}
	r.log.LogAttrs(context.Background(), level(f.Code), string(f.Kind)+" refused", attrs...)
}

// level returns the level of a refusal: a warning if a login could not be judged, or the bridge is
// full, and an error if it never will be.
func level(code int) slog.Level {
	switch code {
	case 1011, 4500:
		return slog.LevelError
	case 4300:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// keep adds a refusal to those that are kept. One that is equal to an earlier one is added to that.
// If there are too many, the oldest of the address that has the most makes room, so that a flood from
// one does not hide the others.
func (r *Recorder) keep(f Refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.IndexFunc(r.kept, f.equals); i >= 0 {
		f.Count += r.kept[i].Count
		r.remove(i)
	} else if len(r.kept) >= Kept {
		most := 0
		for i := range r.kept {
			if r.number(i) > r.number(most) {
				most = i
			}
		}
		r.remove(most)
	}
	r.kept = append(r.kept, f)
	r.networks[f.network]++
}

// number returns how many are kept of the address of the one at i. Lock held on entry.
func (r *Recorder) number(i int) int { return r.networks[r.kept[i].network] }

// remove forgets the one at i. Lock held on entry.
func (r *Recorder) remove(i int) {
	n := r.kept[i].network
	if r.networks[n]--; r.networks[n] == 0 {
		delete(r.networks, n)
	}
	r.kept = slices.Delete(r.kept, i, i+1)
}

// List returns what is kept of a user and an address, the newest first. An empty user or address
// means all. user is a name or its form; address can be a network, such as 10.0.0.0/8.
func (r *Recorder) List(user, address string) []Refusal {
	inNetwork, err := netip.ParsePrefix(address)
	from := func(f *Refusal) bool {
		if err == nil {
			return inNetwork.Contains(clientaddr.Parse(f.Address))
		}
		return address == "" || f.Address == address
	}
	list := []Refusal{}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range slices.Backward(r.kept) {
		if (user == "" || f.User == user || f.User == printable.Name(user)) && from(&f) {
			list = append(list, f)
		}
	}
	return list
}
