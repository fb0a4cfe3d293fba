package tokenendpoint

import (
	"container/list"
	"crypto/sha256"
	"slices"
	"sync"
)

// What is remembered of the tokens of users. Who is forgotten starts anew: then a token that
// was replaced counts again, if the endpoint still finds it good.
const (
	maxUsers    = 100_000 // the one who has not logged in for longest is forgotten
	maxReplaced = 16      // tokens of one user, the newest
)

// hash stands for a token.
type hash [sha256.Size]byte

func hashOf(token []byte) hash { return sha256.Sum256(token) }

// basis is what a reply carries: by which token a user has logged in.
type basis struct {
	user  string
	token hash
}

// latest knows the one token of each user that counts, and tells when that changes.
type latest struct {
	limit  int // of users
	mu     sync.Mutex
	order  *list.List // of *tokens, the user in front who has logged in last
	byUser map[string]*list.Element

	// A storm of logins leads to few calls: those during a call lead to one more.
	changed chan struct{} // holds one element if there is something to tell
	stop    chan struct{}
	ended   sync.WaitGroup
}

// tokens are those of one user.
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

// present tells whether the token counts, which a new one does: it replaces the current.
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
		default: // the call that is due tells this too
		}
	}
	l.order.MoveToFront(e)
	return true
}

// replaced tells whether another token of the user counts now.
func (l *latest) replaced(g basis) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.byUser[g.user]
	return e != nil && e.Value.(*tokens).current != g.token
}
