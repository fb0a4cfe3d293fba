package zmtp

import (
	"errors"

	"github.com/zwsbridge/zwsbridge/zap"
)

// The BEARER mechanism. 45/ZWS names it and leaves its content open. Here it is PLAIN with
// another HELLO, so that a token can be longer than the 255 bytes of a PLAIN password:
//
//	hello = command-size %d5 "HELLO" token
//	token = *OCTET              ; the rest of the command

// Name returns BEARER.
func (Bearer) Name() zap.Mechanism { return zap.BEARER }

// NewClient returns the client side of BEARER. It fails on an empty token and on metadata
// that cannot be sent. The length of a token is limited by the server only.
func (b Bearer) NewClient(local zap.Metadata) (Mechanism, error) {
	if b.Token == "" {
		return nil, errors.New("zmtp: BEARER without a token")
	}
	return newPlainClient(zap.BEARER, []byte(b.Token), local)
}

func newBearerServer(s ServerSecurity) *plainServer {
	return plainServerOf(zap.BEARER, s, parseBearer)
}

// parseBearer returns the data of a BEARER HELLO as one credential. An empty token is not
// malformed: the ZAP handler refuses it as it refuses an unknown one.
func parseBearer(data []byte) [][]byte {
	return [][]byte{append([]byte{}, data...)}
}
