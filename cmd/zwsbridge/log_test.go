package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/config"
)

// TestLogger: level and format change for loggers that exist, unless they are invalid, and durations
// have a unit.
func TestLogger(t *testing.T) {
	var b bytes.Buffer
	l := newLogger(&b)
	derived := l.With("route", "/a").WithGroup("g")
	for _, tt := range []struct {
		config config.Log
		want   string // of an Info line; empty if there is none
	}{
		{config.Log{Level: "info", Format: "auto"}, `"msg":"m","route":"/a","g":{"lasted":"258ms"}}`},
		{config.Log{Level: "info", Format: "text"}, `msg=m route=/a g.lasted=258ms`},
		{config.Log{Level: "warn", Format: "text"}, ``},
		{config.Log{Level: "verbose", Format: "text"}, ``}, // the level stays
		{config.Log{Level: "error", Format: "json"}, ``},
		{config.Log{Level: "info", Format: "xml"}, `"msg":"m","route":"/a","g":{"lasted":"258ms"}}`}, // the format stays
		{config.Log{Level: "debug", Format: "json"}, `"msg":"m","route":"/a","g":{"lasted":"258ms"}}`},
	} {
		b.Reset()
		l.configure(&tt.config)
		derived.Info("m", "lasted", 258*time.Millisecond)
		if got := strings.TrimSpace(b.String()); !strings.HasSuffix(got, tt.want) || (got == "") != (tt.want == "") {
			t.Errorf("%+v: %s, want %s", tt.config, got, tt.want)
		}
	}
}
