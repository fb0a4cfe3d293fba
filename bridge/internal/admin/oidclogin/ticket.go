package oidclogin

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"sync"
	"time"
)

// ticket is the state of a login between Begin and Finish.
type ticket struct {
	State    string    `json:"state"`
	Nonce    string    `json:"nonce"`
	Verifier string    `json:"verifier"` // for PKCE
	Until    time.Time `json:"until"`
}

// maxUsed bounds the tickets that are remembered; beyond it the first to expire is forgotten.
const maxUsed = 10_000

// usedTickets are the tickets with which a browser has come back, by their state, until they
// expire. A ticket is for one login.
type usedTickets struct {
	mu    sync.Mutex
	until map[string]time.Time
}

// add reports whether the ticket was not used before, and remembers it.
func (u *usedTickets) add(t *ticket) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, used := u.until[t.State]; used {
		return false
	}
	if u.until == nil {
		u.until = make(map[string]time.Time)
	}
	if len(u.until) >= maxUsed {
		u.makeRoom()
	}
	u.until[t.State] = t.Until
	return true
}

// makeRoom forgets the tickets that have expired, or else the first to expire. Lock held on
// entry.
func (u *usedTickets) makeRoom() {
	first := ""
	for state, until := range u.until {
		if time.Until(until) <= 0 {
			delete(u.until, state)
		} else if first == "" || until.Before(u.until[first]) {
			first = state
		}
	}
	if len(u.until) >= maxUsed {
		delete(u.until, first)
	}
}

// newSeal returns the encryption of a client's tickets, with a random key.
func newSeal() cipher.AEAD {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the key has a valid length
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // AES has the block size that GCM requires
	}
	return aead
}

// seal returns the ticket as text, encrypted and authenticated.
func (c *Client) seal(t ticket) string {
	text, err := json.Marshal(t)
	if err != nil {
		panic(err) // every field can be marshaled
	}
	return base64.RawURLEncoding.EncodeToString(c.tickets.Seal(nil, nil, text, nil))
}

var (
	errNoTicket      = errors.New("no ticket: the login was begun in another browser, or cookies are disabled")
	errBadTicket     = errors.New("invalid ticket: not from this server, or from before a restart")
	errTicketExpired = errors.New("ticket has expired")
)

// open decrypts a ticket of this client that has not expired.
func (c *Client) open(cookie string) (*ticket, error) {
	if cookie == "" {
		return nil, errNoTicket
	}
	sealed, err := base64.RawURLEncoding.DecodeString(cookie)
	if err != nil {
		return nil, errBadTicket
	}
	text, err := c.tickets.Open(nil, nil, sealed, nil)
	if err != nil {
		return nil, errBadTicket
	}
	var t ticket
	if err := json.Unmarshal(text, &t); err != nil {
		return nil, errBadTicket
	}
	if time.Until(t.Until) <= 0 {
		return nil, errTicketExpired
	}
	return &t, nil
}
