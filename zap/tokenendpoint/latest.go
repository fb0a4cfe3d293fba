package tokenendpoint

import (
	"container/list"
	"crypto/sha256"
	"slices"
	"sync"
)

// The limits on what is kept in memory. Beyond them a replaced token is valid again if the
// endpoint still accepts it.
const (
	maxUsers    = 100_000 // the user whose last login is oldest is dropped
	maxReplaced = 16      // newest replaced tokens of one user
)

// hash is the hash of a token.
type hash [sha256.Size]byte

func hashOf(token []byte) hash { return sha256.Sum256(token) }

// basis is what a login depends on: the user's token.
type basis struct {
	user  string
	token hash
}

// latest holds the valid token of each user, and reports when one is replaced.
type latest struct {
	limit  int // of users
	mu     sync.Mutex
	order  *list.List // of *tokens, most recent login first
	byUser map[string]*list.Element

	// Many logins cause few calls of notify: those during a call cause one more.
	changed chan struct{} // holds an element if a call is due
	stop    chan struct{}
	ended   sync.WaitGroup
}

// tokens are the tokens of one user.
type tokens struct {
	user     string
	current  hash
	replaced []hash // oldest first
}

// newLatest starts a goroutine that calls notify after changes, until close.
func newLatest(limit int, notify func()) *latest {
	l := &latest{
		limit:   limit,
		order:   list.New(),
		byUser:  make(map[string]*list.Element),
		changed: make(chan struct{}, 1),
		stop:    make(chan struct{}),
	}
	l.ended.Go(func() {
		for {
			select {
			case <-l.changed:
				notify()
			case <-l.stop:
				return
			}
		}
	})
	return l
}

func (l *latest) close() {
	close(l.stop)
	l.ended.Wait()
}

// present reports whether the token is valid. A new one is, and replaces the current one.
func (l *latest) present(g basis) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.byUser[g.user]
	if e == nil {
		if len(l.byUser) == l.limit {
			delete(l.byUser, l.order.Remove(l.order.Back()).(*tokens).user)
		}
		l.byUser[g.user] = l.order.PushFront(&tokens{user: g.user, current: g.token})
		return true
	}
	t := e.Value.(*tokens)
	switch {
	case slices.Contains(t.replaced, g.token):
		return false
	case t.current != g.token:
		if len(t.replaced) == maxReplaced {
			t.replaced = slices.Delete(t.replaced, 0, 1)
		}
		t.replaced = append(t.replaced, t.current)
		t.current = g.token
		select {
		case l.changed <- struct{}{}:
		default: // a call is already due
		}
	}
	l.order.MoveToFront(e)
	return true
}

// replaced reports whether another token of the user is valid now.
func (l *latest) replaced(g basis) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.byUser[g.user]
	return e != nil && e.Value.(*tokens).current != g.token
}
