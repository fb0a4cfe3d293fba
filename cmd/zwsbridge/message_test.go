package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

var messages = []struct {
	line string
	m    zmtp.Message
}{
	{"", zmtp.Message{{}}},
	{"\t", zmtp.Message{{}, {}}},
	{"house/ann/temperature\t21.5 °C", zmtp.Message{[]byte("house/ann/temperature"), []byte("21.5 °C")}},
	{`"\x00\xff"`, zmtp.Message{{0, 0xff}}},
	{`"two\nlines"` + "\tx", zmtp.Message{[]byte("two\nlines"), []byte("x")}},
	{`"a\tb"`, zmtp.Message{[]byte("a\tb")}},
	{`"\"quoted\""`, zmtp.Message{[]byte(`"quoted"`)}},
	{`say "hi"`, zmtp.Message{[]byte(`say "hi"`)}},
}

func TestMessageFormat(t *testing.T) {
	for _, tt := range messages {
		if got := formatMessage(tt.m); got != tt.line {
			t.Errorf("formatMessage(%q) = %s, want %s", tt.m, got, tt.line)
		}
		got, err := parseMessage(tt.line)
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(tt.m, got); diff != "" {
			t.Errorf("%s: %s", tt.line, diff)
		}
	}
	for _, line := range []string{`"open`, "a\t\"b\"c", `"\q"`} {
		if m, err := parseMessage(line); err == nil || !strings.Contains(err.Error(), "frame ") {
			t.Errorf("%s: %q, %v", line, m, err)
		}
	}
}

// TestFrameArguments checks that an argument is one frame even if it contains a tab.
func TestFrameArguments(t *testing.T) {
	var got zmtp.Message
	send := func(m zmtp.Message) error { got = m; return nil }
	if err := eachMessage(t.Context(), []string{"a\tb", `"\x00"`, ""}, nil, 0, send); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(zmtp.Message{[]byte("a\tb"), {0}, {}}, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzMessageFormat(f *testing.F) {
	for _, tt := range messages {
		f.Add([]byte(tt.line), []byte("x"))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		m := zmtp.Message{a, b}
		line := formatMessage(m)
		if strings.ContainsAny(line, "\n\r") {
			t.Fatalf("%q has several lines", line)
		}
		got, err := parseMessage(line)
		if err != nil {
			t.Fatal(err)
		}
		if string(got[0]) != string(a) || string(got[1]) != string(b) || len(got) != 2 {
			t.Fatalf("%q was parsed as %q", m, got)
		}
	})
}
