package refusal

import (
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/clientaddr"
	"github.com/zwsbridge/zwsbridge/bridge/internal/printable"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Kind is what was refused.
type Kind string

// What can be refused.
const (
	Client     Kind = "client"            // a WebSocket client, before READY
	Channel    Kind = "channel"           // of a ZWSMUX1.0 connection
	Renewal    Kind = "renewal"           // of the login of a live connection
	Connection Kind = "connection"        // a TCP connection beyond the limits, or of a stranger where only proxies connect
	Backend    Kind = "inbound backend"   // a peer at a bind endpoint
	Asker      Kind = "zap.listen server" // a server that may not ask there
	Question   Kind = "zap.listen login"  // a login that such a server has asked about
	Operator   Kind = "operator"          // at the operators' interface
)

// Refusal is one refusal, or several that are equal except for their time.
type Refusal struct {
	Time time.Time `json:"time"` // of the last one
	Kind Kind      `json:"kind"`
	// User is the name that was claimed, or that of the login if there was one already; empty
	// for an anonymous or unknown one. The list has it in the form of printable.Name.
	User string `json:"user"`
	// Address is the client's, without a port. Of a zap.listen login it is what the server says.
	Address string `json:"address"`
	// Route is the path that was asked for; empty where there is none.
	Route string `json:"route"`
	// Code is the close code, for an operator the HTTP status.
	Code int `json:"code"`
	// Reason is what the peer was told, and Error what has happened, if that says more.
	Reason string `json:"reason"`
	Error  string `json:"error,omitempty"`
	// Authenticator is the name of the [auth.NAME] that has refused a login; empty if none did.
	Authenticator string `json:"authenticator,omitempty"`
	Mechanism     string `json:"mechanism,omitempty"`
	Dialect       string `json:"dialect,omitempty"`
	// Asker is the server that has asked on zap.listen: its CURVE key in hexadecimal, or its address.
	Asker string `json:"asker,omitempty"`
	// Count is how many there were.
	Count int `json:"count"`

	// NoRoute is set if no route has the path, which the peer can have made up.
	NoRoute bool `json:"-"`

	network netip.Addr // of Address, as limits count it; set in the list
}

// passed begins the text of a login that no authenticator of the chain was for; what follows says more.
var passed = zap.Pass("").Error()

// Because returns a refusal with what zws.Cause makes of an error.
func Because(k Kind, err error) Refusal {
	cause := zws.Cause(err)
	f := Refusal{Kind: k, Code: int(cause.Code), Reason: cause.Reason}
	if refused, ok := errors.AsType[*zmtp.RefusedError](cause); ok && refused.Reason != "" {
		f.Error, f.Authenticator = strings.TrimPrefix(refused.Reason, passed), refused.Authenticator
	} else if cause.Err != nil {
		f.Error = cause.Err.Error()
		if errors.Is(cause.Err, zws.ErrOrigin) {
			f.Error += ": to admit its pages, add it to origins in [server]"
		}
	}
	return f
}

// The limits on text in the list, in bytes.
const (
	maxUser = 256
	maxText = 200
	maxLong = 500
)

// shown returns the refusal as the list has it.
func (r Refusal) shown() Refusal {
	r.User = printable.Text(printable.Name(r.User), maxUser)
	r.Address = printable.Text(r.Address, maxText)
	r.Route = printable.Text(r.Route, maxText)
	r.Reason = printable.Text(r.Reason, maxText)
	r.Error = printable.Text(r.Error, maxLong)
	r.Mechanism = printable.Text(r.Mechanism, maxText)
	r.Dialect = printable.Text(r.Dialect, maxText)
	r.Count, r.network = 1, clientaddr.Network(clientaddr.Parse(r.Address))
	return r
}

// equals reports whether two refusals differ in time and count only.
func (r Refusal) equals(other Refusal) bool {
	other.Time, other.Count = r.Time, r.Count
	return r == other
}

// OfPeer returns a refusal of a ZeroMQ peer, with the error that its handshake has ended with.
func OfPeer(k Kind, address string, err error) Refusal {
	f := Because(k, err)
	if f.Code == int(zws.CodeInternal) { // not of this side: the peer has left, or does not speak ZMTP
		f.Code, f.Reason = int(zws.CodeAbnormal), "the handshake was not completed"
	}
	if a := clientaddr.Parse(address); a.IsValid() {
		address = a.String()
	}
	f.Address = address
	if refused, ok := errors.AsType[*zmtp.RefusedError](err); ok && refused.Peer != nil {
		f.Mechanism = string(refused.Peer.Mechanism)
		if f.User = Claimed(refused.Peer.Mechanism, refused.Peer.Credentials); refused.Peer.Reply != nil {
			f.User = refused.Peer.Reply.UserID
		}
	}
	return f
}
