package zmtp

import (
	"context"
	"fmt"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
)

// connect runs a handshake without encoding the commands.
func connect(b *testing.B, client, server Mechanism) {
	ctx := context.Background()
	out, err := client.Next(ctx, nil)
	for err == nil && out != nil {
		if out, err = server.Next(ctx, out); err == nil && out != nil {
			out, err = client.Next(ctx, out)
		}
	}
	if err != nil || !client.Done() || !server.Done() {
		b.Fatal("the handshake failed: ", err)
	}
}

// BenchmarkHandshake runs both sides of one handshake, with a ZAP handler that accepts at once.
func BenchmarkHandshake(b *testing.B) {
	for _, m := range mechanisms {
		b.Run(string(m), func(b *testing.B) {
			p := newPair(b, m)
			b.ReportAllocs()
			for b.Loop() {
				client, server := p.sides(b)
				connect(b, client, server)
			}
		})
	}
}

var benchmarkSizes = []int{16, 256, 4 << 10, 16 << 10}

func BenchmarkCurveEncode(b *testing.B) {
	for _, size := range benchmarkSizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			client, server := newPair(b, zap.CURVE).sides(b)
			connect(b, client, server)
			f := Frame{Body: make([]byte, size)}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.Encode(f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCurveDecode decodes the same MESSAGE repeatedly, which works because it resets the
// nonce.
func BenchmarkCurveDecode(b *testing.B) {
	for _, size := range benchmarkSizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			client, server := newPair(b, zap.CURVE).sides(b)
			connect(b, client, server)
			f, err := client.Encode(Frame{Body: make([]byte, size)})
			if err != nil {
				b.Fatal(err)
			}
			received := &server.(*curveServer).cipher.(*curveTraffic).received
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				received.nonce = 0
				if _, err := server.Decode(f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestCurveTrafficAllocatesNothing checks that encoding and decoding a frame do not allocate.
func TestCurveTrafficAllocatesNothing(t *testing.T) {
	client, server := newPair(t, zap.CURVE).sides(t)
	shake(t, client, server)
	f := Frame{Body: make([]byte, keptBuffer/2-messageOverhead)}
	n := testing.AllocsPerRun(100, func() {
		sealed, err := client.Encode(f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := server.Decode(sealed); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations per frame", n)
	}
}
