package zws

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws/internal/wsframe"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// The seeds of the fuzz targets: valid and invalid objects, and frames of all kinds.
var (
	requestSeeds = []string{
		"", "{}", "[]", "null", `{"op":"login"}`, `{"op":"login","user":"alice","password":"secret"}`,
		`{"op":"login","token":"a.b.c"}`, `{"op":"subscribe","topic":"house/"}`, `{"op":"unsubscribe","topic":{"b64":"/w=="}}`,
		`{"op":"send","frames":["a",{"b64":"AAE="},""]}`, `{"op":"send","frames":["\ud83d\ude00\ud800\u0000"]}`,
		`{"op":"send","frames":[[[[{}]]]]}`, `{"op":"send","op":"send"}`, `{"op":"send","frames":[{"b64":""`, "{\"\xff\":1}",
	}
	textSeeds = [][]byte{
		nil, []byte("house/1"), []byte("\x00\x1f\"\\/\x7f"), []byte("é☃😀\u2028"), {0xff}, {0xed, 0xa0, 0x80}, bytes.Repeat([]byte("x"), 1<<16),
	}
)

func TestJSONSeeds(t *testing.T) {
	if len(requestSeeds) == 0 || len(textSeeds) == 0 {
		t.Error("no seeds")
	}
}

// FuzzRequestObject: what is accepted as an object is one to encoding/json too and has no more
// frames than allowed; anything else is refused with a fitting code.
func FuzzRequestObject(f *testing.F) {
	for _, seed := range requestSeeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		const maxFrames = 3
		r, err := parseRequest(p, maxFrames, true)
		if err != nil {
			switch code := Cause(err).Code; code {
			case CodeProtocol, CodeNotUTF8, CodeTooLarge, CodeRefused:
			default:
				t.Errorf("%q: %v", p, err)
			}
			return
		}
		if _, known := requestForms[r.op]; !known || len(r.frames) > maxFrames || (r.op == opSend) != (len(r.frames) > 0) {
			t.Errorf("%q is taken for %+v", p, r)
		}
		var v map[string]any
		if err := json.Unmarshal(p, &v); err != nil || v["op"] != r.op || len(v) != len(r.has) {
			t.Errorf("%q is taken for %+v, by encoding/json for %v, %v", p, r, v, err)
		}
	})
}

// FuzzMessageObject: the codec writes JSON with the same frames.
func FuzzMessageObject(f *testing.F) {
	for i, seed := range textSeeds {
		f.Add(seed, textSeeds[(i+1)%len(textSeeds)])
	}
	f.Fuzz(func(t *testing.T, one, two []byte) {
		want := zmtp.Message{append([]byte{}, one...), append([]byte{}, two...)}
		before := []byte("before")
		encoded := jsonCodec{}.AppendMessage(before, want, nil)
		brace := bytes.Index(encoded, []byte(`{"op":`))
		if !bytes.HasPrefix(encoded, before) {
			t.Fatalf("written as %q", encoded)
		}
		text := encoded[brace:]
		if header := wsframe.AppendHeader(before, wsframe.Text, len(text)); !bytes.Equal(header, encoded[:brace]) || !json.Valid(text) {
			t.Fatalf("written as %q", encoded)
		}
		asRequest := bytes.Replace(text, []byte(`"op":"message"`), []byte(`"op":"send"`), 1)
		r, err := parseRequest(asRequest, 2, true)
		if err != nil || !reflect.DeepEqual(r.frames, want) {
			t.Errorf("%q is read as %q, %v", text, r.frames, err)
		}
	})
}
