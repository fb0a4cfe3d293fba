package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
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

// TestLoggerDurations: durations have a unit wherever they are in a line.
func TestLoggerDurations(t *testing.T) {
	var b bytes.Buffer
	l := newLogger(&b)
	l.With("with", time.Second).Info("m", slog.Group("g", "inner", time.Minute, slog.Group("h", "deep", time.Hour)), "valuer", later(2*time.Second), "n", 5)
	if want := `"msg":"m","with":"1s","g":{"inner":"1m0s","h":{"deep":"1h0m0s"}},"valuer":"2s","n":5}`; !strings.HasSuffix(strings.TrimSpace(b.String()), want) {
		t.Errorf("%s, want %s", b.String(), want)
	}
}

// later is a duration that is computed when the line is written.
type later time.Duration

func (d later) LogValue() slog.Value { return slog.DurationValue(time.Duration(d)) }

// BenchmarkLoggerLogin is the line of a login.
func BenchmarkLoggerLogin(b *testing.B) {
	l := newLogger(io.Discard)
	l.configure(&config.Log{Level: "info", Format: "json"})
	b.ReportAllocs()
	for b.Loop() {
		l.LogAttrs(context.Background(), slog.LevelInfo, "session started",
			slog.Uint64("session", 3_456_789), slog.String("route", "/market"), slog.String("address", "192.0.2.1"),
			slog.String("user", "alice"), slog.String("dialect", "ZWS2.0/PLAIN"))
	}
}
