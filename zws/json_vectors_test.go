package zws

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws/internal/wsframe"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// hexBytes are bytes in hexadecimal, with spaces between.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(strings.ReplaceAll(string(text), " ", ""))
	return err
}

// vectors are the parts of the vectors that this package uses; see package muxframe for the
// rest.
type vectors struct {
	Mux     []struct{ Bytes hexBytes }
	Invalid []struct{ Bytes hexBytes } `json:"mux_invalid"`
	JSON    []struct {
		Name, Text string
		Frames     []hexBytes
	}
}

func readVectors(t testing.TB) (v vectors) {
	t.Helper()
	text, err := os.ReadFile("testdata/mux-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Mux) == 0 || len(v.Invalid) == 0 || len(v.JSON) == 0 {
		t.Fatal("vectors are missing")
	}
	return v
}

// TestJSONVectors checks the vectors that other implementations check too.
func TestJSONVectors(t *testing.T) {
	for _, vector := range readVectors(t).JSON {
		var m zmtp.Message
		for _, frame := range vector.Frames {
			m = append(m, frame)
		}
		want := append(wsframe.AppendHeader(nil, wsframe.Text, len(vector.Text)), vector.Text...)
		if got := (jsonCodec{}).AppendMessage(nil, m, nil); !bytes.Equal(got, want) {
			t.Errorf("%s is written as %q", vector.Name, got)
		}
	}
}
