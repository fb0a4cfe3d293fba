package zmq4transport_test

import (
	"testing"

	"github.com/go-zeromq/zmq4"

	"github.com/zwsbridge/zwsbridge/zap"
)

// BenchmarkPushPull sends messages of 200 bytes from one zmq4 socket to another, over zmq4's own
// TCP transport and over this one.
func BenchmarkPushPull(b *testing.B) {
	for name, scheme := range map[string]string{
		"zmq4 NULL": "tcp",
		"NULL":      register(b, credentials(b, zap.NULL)),
		"CURVE":     register(b, credentials(b, zap.CURVE)),
	} {
		b.Run(name, func(b *testing.B) {
			pull, push := open(b, zmq4.NewPull), open(b, zmq4.NewPush)
			if err := pull.Listen(scheme + "://127.0.0.1:0"); err != nil {
				b.Fatal(err)
			}
			if err := push.Dial(scheme + "://" + pull.Addr().String()); err != nil {
				b.Fatal(err)
			}
			sent := make(chan error, 1)
			b.ReportAllocs()
			b.ResetTimer()
			go func() {
				msg := zmq4.NewMsg(make([]byte, 200))
				for range b.N {
					if err := push.Send(msg); err != nil {
						sent <- err
						return
					}
				}
				sent <- nil
			}()
			for range b.N {
				if _, err := pull.Recv(); err != nil {
					b.Fatal(err)
				}
			}
			if err := <-sent; err != nil {
				b.Fatal(err)
			}
		})
	}
}
