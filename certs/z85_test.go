package certs

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// z85Vectors are the test case of 32/Z85, the CURVE keys in zmq_curve(7) of libzmq, and the
// smallest and largest group. The bytes are in hexadecimal.
var z85Vectors = []struct{ bytes, text string }{
	{"", ""},
	{"864fd26fb559f75b", "HelloWorld"},
	{"00000000", "00000"},
	{"ffffffff", "%nSc0"},
	{"bb88471d65e2659b30c55a5321cebb5aab2b70a398645c26dca2b2fcb43fc518", "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"},
	{"7bb864b489afa3671fbe69101f94b38972f24816dfb01b51656b3fec8dfd0888", "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"},
}

func TestZ85Vectors(t *testing.T) {
	for _, v := range z85Vectors {
		decoded, err := hex.DecodeString(v.bytes)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := EncodeZ85(decoded); got != v.text || err != nil {
			t.Errorf("EncodeZ85(%s) = %q, %v, want %q", v.bytes, got, err, v.text)
		}
		if got, err := DecodeZ85(v.text); !bytes.Equal(got, decoded) || err != nil {
			t.Errorf("DecodeZ85(%q) = %x, %v, want %s", v.text, got, err, v.bytes)
		}
	}
}

func TestZ85Errors(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"Hell", "4 characters, want a multiple of 5"},
		{"Hello~orld", "character 6"},
		{"Hello\"orld", "character 6"},
		{"Hello\xfforld", "character 6"},
		{"%nSc1", "characters 1 to 5 exceed"}, // %nSc0 plus 1
		{"00000#####", "characters 6 to 10 exceed"},
	} {
		if _, err := DecodeZ85(tt.text); !errors.Is(err, ErrZ85) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("DecodeZ85(%q): %v, want ErrZ85 with %q", tt.text, err, tt.want)
		}
	}
	if _, err := EncodeZ85(make([]byte, 5)); !errors.Is(err, ErrZ85) {
		t.Errorf("EncodeZ85 of 5 bytes: %v", err)
	}
	for _, n := range []int{0, 35, 39, 41, 45} {
		if _, err := DecodeKey(strings.Repeat("0", n)); !errors.Is(err, ErrZ85) {
			t.Errorf("DecodeKey of %d characters: %v", n, err)
		}
	}
	if key, err := DecodeKey(strings.Repeat("0", 40)); err != nil || key != [KeySize]byte{} {
		t.Errorf("DecodeKey of 40 zeroes: %x, %v", key, err)
	}
}

func FuzzZ85(f *testing.F) {
	if len(z85Vectors) == 0 {
		f.Fatal("no seed corpus")
	}
	for _, v := range z85Vectors {
		f.Add(v.text)
	}
	f.Add("%nSc1")
	f.Fuzz(func(t *testing.T, text string) {
		decoded, err := DecodeZ85(text)
		if err != nil {
			return
		}
		if again, err := EncodeZ85(decoded); again != text || err != nil {
			t.Fatalf("%q → %x → %q, %v", text, decoded, again, err)
		}
	})
}
