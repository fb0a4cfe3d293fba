package zmtp

import (
	"errors"

	"github.com/zwsbridge/zwsbridge/zap"
)

// The BEARER mechanism. 45/ZWS names it and leaves it open; here it is PLAIN with one
// difference, so that a token may be longer than the 255 octets of a PLAIN password:
//
//	hello = command-size %d5 "HELLO" token
//	token = *OCTET              ; the rest of the command

// Name is BEARER.
func (Bearer) Name() zap.Mechanism { return zap.BEARER }

// NewClient makes the client side of BEARER. It fails on an empty token, and on metadata
// that cannot be written. How long a token may be is the server's limit on one command.
func (b Bearer) NewClient(local zap.Metadata) (Mechanism, error) {
	if b.Token == "" {
		return nil, errors.New("zmtp: BEARER without a token")
	}
	return newPlainClient(zap.BEARER, []byte(b.Token), local)
}

func newBearerServer(s ServerSecurity) *plainServer {
	p := &plainServer{server: newServer(zap.BEARER, s), parseHello: parseBearer}
	p.step = p.receiveHello
	return p
}

// parseBearer takes the data of a BEARER HELLO whole. An empty token is the ZAP handler's
// to refuse, as an unknown one is.
func parseBearer(data []byte) [][]byte {
	return [][]byte{append([]byte{}, data...)}
}
