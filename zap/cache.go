package zap

import (
	"cmp"
	"container/list"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"
)

// The defaults of [CacheOptions].
const (
	DefaultRefusedTTL   = 5 * time.Second
	DefaultCacheEntries = 10000
)

// CacheOptions configures a [Cache].
type CacheOptions struct {
	// TTL is how long a 200 is reused, but not past the Expires of its metadata. Required
	// by [NewCache]; in [ChainOptions] 0 means no cache.
	TTL time.Duration
	// RefusedTTL is how long a 400 is reused; 0 means [DefaultRefusedTTL], or TTL if that
	// is less. It must not exceed TTL.
	RefusedTTL time.Duration
	// Entries is how many accepted and, separately, how many refused requests are kept; 0
	// means [DefaultCacheEntries]. The least recently used is dropped. Because they are
	// counted separately, a flood of refusals cannot evict accepted requests.
	Entries int
	// AnyAddress reuses a reply for other addresses. Set it only if no handler looks at
	// the address.
	AnyAddress bool
}

// Cache is a [Handler] that asks another one and reuses its results. It keeps 200, 400 and
// [ErrPass]; a 300, a 500 and other errors say nothing about the next attempt. Concurrent
// requests with the same credentials share one call.
//
// The keys are SHA-256 hashes with a random key for each Cache, so that no secret stays in
// memory. A Cache is safe for concurrent use.
type Cache struct {
	handler    Handler
	ttl        time.Duration
	refusedTTL time.Duration
	anyAddress bool
	secret     [32]byte

	mu         sync.Mutex
	accepted   *recent
	refused    *recent
	flights    map[key]*flight
	generation int // counts calls of Clear, so that earlier results are not kept
	running    sync.WaitGroup
}

type key [sha256.Size]byte

// answer is the result of a handler: a reply or an error.
type answer struct {
	reply *Reply
	err   error
}

// flight is one call of the handler, and the number of requests that wait for it.
type flight struct {
	waiting int // guarded by Cache.mu
	cancel  context.CancelFunc
	done    chan struct{} // closed once answer is set
	answer  answer
}

// NewCache returns a cache in front of h, which the caller closes.
func NewCache(h Handler, o CacheOptions) (*Cache, error) {
	entries, refused := cmp.Or(o.Entries, DefaultCacheEntries), cmp.Or(o.RefusedTTL, min(DefaultRefusedTTL, o.TTL))
	switch {
	case h == nil:
		return nil, errors.New("zap: cache without a handler")
	case o.TTL <= 0:
		return nil, fmt.Errorf("zap: cache TTL %v: must be positive", o.TTL)
	case refused < 0 || refused > o.TTL:
		return nil, fmt.Errorf("zap: cache TTL of refusals %v: must be between 0 and the TTL, %v", refused, o.TTL)
	case entries < 0:
		return nil, fmt.Errorf("zap: cache of %d entries: must not be negative", entries)
	}
	c := &Cache{
		handler:    h,
		ttl:        o.TTL,
		refusedTTL: refused,
		anyAddress: o.AnyAddress,
		accepted:   newRecent(entries),
		refused:    newRecent(entries),
		flights:    make(map[key]*flight),
	}
	rand.Read(c.secret[:])
	return c, nil
}

// Authenticate returns a cached result, or waits for a call in flight, or starts one.
func (c *Cache) Authenticate(ctx context.Context, req *Request) (*Reply, error) {
	k := c.key(req)
	c.mu.Lock()
	now := time.Now()
	for _, r := range []*recent{c.accepted, c.refused} {
		if a, ok := r.get(k, now); ok {
			c.mu.Unlock()
			return a.reply, a.err
		}
	}
	f := c.flights[k]
	if f == nil {
		f = c.start(ctx, k, req)
	}
	f.waiting++
	c.mu.Unlock()

	select {
	case <-f.done:
		return f.answer.reply, f.answer.err
	case <-ctx.Done():
		c.leave(k, f)
		return nil, context.Cause(ctx)
	}
}

// start calls the handler in a goroutine. The call continues without the request that caused
// it as long as another one waits. Lock held on entry.
func (c *Cache) start(ctx context.Context, k key, req *Request) *flight {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &flight{cancel: cancel, done: make(chan struct{})}
	c.flights[k] = f
	generation := c.generation
	req = req.clone() // the caller may return before the handler
	c.running.Go(func() {
		defer cancel()
		reply, err := ask(ctx, c.handler, req)
		var pass *PassError
		if errors.As(err, &pass) && pass.Work != nil {
			// A cached pass must not take longer than a cached refusal.
			if failed := pass.Work(ctx); failed != nil {
				err = failed
			} else {
				err = &PassError{Reason: pass.Reason}
			}
		}
		f.answer = answer{reply, err}
		c.land(k, f, generation)
	})
	return f
}

// land keeps the result of a flight and hands it to the waiting requests.
func (c *Cache) land(k key, f *flight, generation int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer close(f.done)
	if c.flights[k] == f {
		delete(c.flights, k)
	}
	if generation != c.generation {
		return
	}
	now := time.Now()
	switch reply, err := f.answer.reply, f.answer.err; {
	case errors.Is(err, ErrPass), err == nil && reply.Status == Refused:
		c.refused.put(k, f.answer, now.Add(c.refusedTTL))
	case err == nil && reply.Status == OK:
		if until, ok := expiry(reply, now.Add(c.ttl)); ok {
			c.accepted.put(k, f.answer, until)
		}
	}
}

// leave stops waiting. The last request to leave cancels the call, and no other joins it.
func (c *Cache) leave(k key, f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.waiting--; f.waiting > 0 {
		return
	}
	f.cancel()
	if c.flights[k] == f {
		delete(c.flights, k)
	}
}

// expiry returns the end of the TTL or of the login, whichever is first. ok is false if the
// reply's Expires is invalid: it must not be kept.
func expiry(reply *Reply, until time.Time) (end time.Time, ok bool) {
	end, limited, err := reply.Metadata.Expires()
	if err != nil {
		return time.Time{}, false
	}
	if limited && end.Before(until) {
		return end, true
	}
	return until, true
}

// key hashes everything that a handler may look at. Each field follows its length, so that
// different requests have different inputs.
func (c *Cache) key(req *Request) key {
	var room [1024]byte
	b := append(room[:0], c.secret[:]...)
	address := req.Address
	if c.anyAddress {
		address = ""
	}
	for _, s := range [...]string{req.Domain, address, string(req.Mechanism)} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	b = binary.AppendUvarint(b, uint64(len(req.RoutingID)))
	b = append(b, req.RoutingID...)
	for _, frame := range req.Credentials {
		b = binary.AppendUvarint(b, uint64(len(frame)))
		b = append(b, frame...)
	}
	k := sha256.Sum256(b)
	clear(b)
	return k
}

// Clear drops every result, including those of calls in flight.
func (c *Cache) Clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	clear(c.flights) // new requests make new calls; those that wait still get their result
	c.accepted.clear()
	c.refused.clear()
}

// Close waits for the calls in flight and cancels none. The caller must not hold up the
// handler.
func (c *Cache) Close() { c.running.Wait() }

// recent is a bounded map of results that drops the least recently used.
type recent struct {
	limit int
	order *list.List // of *remembered, most recently used first
	byKey map[key]*list.Element
}

type remembered struct {
	key    key
	answer answer
	until  time.Time
}

func newRecent(limit int) *recent {
	return &recent{limit: limit, order: list.New(), byKey: make(map[key]*list.Element)}
}

func (r *recent) get(k key, now time.Time) (answer, bool) {
	e := r.byKey[k]
	if e == nil {
		return answer{}, false
	}
	m := e.Value.(*remembered)
	if !now.Before(m.until) {
		r.remove(e)
		return answer{}, false
	}
	r.order.MoveToFront(e)
	return m.answer, true
}

func (r *recent) put(k key, a answer, until time.Time) {
	if e := r.byKey[k]; e != nil {
		r.remove(e)
	}
	for r.order.Len() >= r.limit {
		r.remove(r.order.Back())
	}
	r.byKey[k] = r.order.PushFront(&remembered{k, a, until})
}

func (r *recent) remove(e *list.Element) {
	delete(r.byKey, e.Value.(*remembered).key)
	r.order.Remove(e)
}

func (r *recent) clear() {
	r.order.Init()
	clear(r.byKey)
}
