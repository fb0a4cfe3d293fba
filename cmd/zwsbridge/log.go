package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"sync/atomic"

	"golang.org/x/term"

	"github.com/zwsbridge/zwsbridge/bridge/config"
)

// logger is the log of a command. Its level and format, and those of all loggers made of it, can
// change while it is in use.
type logger struct {
	*slog.Logger
	terminal bool
	level    slog.LevelVar
	json     atomic.Bool
}

// newLogger returns a logger with the defaults of the table [log].
func newLogger(w io.Writer) *logger {
	l := &logger{terminal: isTerminal(w)}
	o := &slog.HandlerOptions{Level: &l.level, ReplaceAttr: durationText}
	l.Logger = slog.New(&logHandler{json: &l.json, formats: [2]slog.Handler{slog.NewTextHandler(w, o), slog.NewJSONHandler(w, o)}})
	l.configure(&config.Default().Log)
	return l
}

// configure puts a level and a format in force. One that is invalid, which is reported elsewhere,
// changes nothing.
func (l *logger) configure(c *config.Log) {
	if level := c.SlogLevel(); level >= slog.LevelDebug {
		l.level.Set(level)
	}
	switch c.Format {
	case config.FormatAuto:
		l.json.Store(!l.terminal)
	case config.FormatText, config.FormatJSON:
		l.json.Store(c.Format == config.FormatJSON)
	}
}

// durationText shows durations as text, which has a unit: package slog writes nanoseconds to JSON.
func durationText(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// logHandler writes each record as text or as JSON.
type logHandler struct {
	json    *atomic.Bool
	formats [2]slog.Handler // text, JSON
}

func (h *logHandler) current() slog.Handler {
	if h.json.Load() {
		return h.formats[1]
	}
	return h.formats[0]
}

// Enabled implements slog.Handler.
func (h *logHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return h.current().Enabled(ctx, l)
}

// Handle implements slog.Handler.
func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	return h.current().Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logHandler{h.json, [2]slog.Handler{h.formats[0].WithAttrs(attrs), h.formats[1].WithAttrs(attrs)}}
}

// WithGroup implements slog.Handler.
func (h *logHandler) WithGroup(name string) slog.Handler {
	return &logHandler{h.json, [2]slog.Handler{h.formats[0].WithGroup(name), h.formats[1].WithGroup(name)}}
}

// isTerminal reports whether v, a reader or a writer, is a terminal.
func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
