package route

import "github.com/zwsbridge/zwsbridge/zws/zmtp"

// IsSubscriptionFrame reports whether a libzmq XPUB takes a frame that an XSUB sends for a
// subscription or a cancellation: it does so with every frame of a message that begins with
// 01 or 00, where 29/PUBSUB has one frame only.
func IsSubscriptionFrame(frame []byte) bool { return len(frame) > 0 && frame[0] <= 1 }

// HiddenSubscription returns the number, from 1, of the first frame of a message of an XSUB
// that a backend could take for a subscription; 0 if there is none. The message itself is not
// a subscription.
func HiddenSubscription(m zmtp.Message) int {
	for i, frame := range m {
		if IsSubscriptionFrame(frame) {
			return i + 1
		}
	}
	return 0
}
