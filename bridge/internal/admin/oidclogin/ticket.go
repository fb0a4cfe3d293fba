package oidclogin

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"
)

// ticket is what has to be remembered of a login between Begin and Finish.
type ticket struct {
	State    string    `json:"state"`
	Nonce    string    `json:"nonce"`
	Verifier string    `json:"verifier"` // of PKCE
	Until    time.Time `json:"until"`
}

// newSeal draws the key of a client's tickets.
func newSeal() cipher.AEAD {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the key has a right length
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // AES has the block size that GCM wants
	}
	return aead
}

// seal makes the text of a ticket, which nobody else can read or change.
func (c *Client) seal(t ticket) string {
	text, err := json.Marshal(t)
	if err != nil {
		panic(err) // there is nothing in it that has no JSON
	}
	return base64.RawURLEncoding.EncodeToString(c.tickets.Seal(nil, nil, text, nil))
}

var (
	errNoTicket   = errors.New("there is no ticket: it was begun in another browser, or cookies are not kept")
	errNotOurs    = errors.New("the ticket is not ours, or of before a restart")
	errTicketOver = errors.New("the ticket has expired")
)

// open reads a ticket of ours that has not expired.
func (c *Client) open(cookie string) (*ticket, error) {
	if cookie == "" {
		return nil, errNoTicket
	}
	sealed, err := base64.RawURLEncoding.DecodeString(cookie)
	if err != nil {
		return nil, errNotOurs
	}
	text, err := c.tickets.Open(nil, nil, sealed, nil)
	if err != nil {
		return nil, errNotOurs
	}
	var t ticket
	if err := json.Unmarshal(text, &t); err != nil {
		return nil, errNotOurs
	}
	if time.Until(t.Until) <= 0 {
		return nil, errTicketOver
	}
	return &t, nil
}
