package zws

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"testing"
	"unsafe"
)

// TestReleaseTLS releases the buffers between messages of many sizes, one of which arrives in
// pieces: nothing is lost, and no memory is kept.
func TestReleaseTLS(t *testing.T) {
	if len(tlsBuffers.records) == 0 || len(tlsBuffers.messages) == 0 || len(tlsBuffers.rest) == 0 {
		t.Fatalf("tls.Conn has other fields: %v", tlsBuffers)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	defer near.Close()
	client := tls.Client(far, &tls.Config{InsecureSkipVerify: true})
	defer client.Close()
	server := tls.Server(near, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	sizes := []int{1, 500, 16000, 3, 70000, 0, 1}
	go func() {
		for i, size := range sizes {
			client.Write(bytes.Repeat([]byte{byte(i)}, size))
		}
	}()
	for i, size := range sizes {
		got := make([]byte, size)
		for part := got; len(part) > 0; part = part[min(len(part), 1000):] {
			if _, err := io.ReadFull(server, part[:min(len(part), 1000)]); err != nil {
				t.Fatal(err)
			}
			releaseTLS(server) // also while the rest of a record waits
		}
		if !bytes.Equal(got, bytes.Repeat([]byte{byte(i)}, size)) {
			t.Errorf("message %d of %d bytes has arrived changed", i, size)
		}
	}
	for _, offset := range append(tlsBuffers.records, tlsBuffers.messages...) {
		if n := (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(server), offset)).Cap(); n > 0 {
			t.Errorf("a buffer of %d bytes is kept", n)
		}
	}
}
