package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"slices"
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
	o := &slog.HandlerOptions{Level: &l.level}
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

// logHandler writes each record as text or as JSON. It shows durations as text, which has a unit: package
// slog writes nanoseconds to JSON. A ReplaceAttr would do that too, but nearly doubles what every line costs.
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
	durations := false
	r.Attrs(func(a slog.Attr) bool {
		durations = hasDuration(a.Value)
		return !durations
	})
	if durations {
		shown := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
		r.Attrs(func(a slog.Attr) bool {
			shown.AddAttrs(durationText(a))
			return true
		})
		r = shown
	}
	return h.current().Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	attrs = durationTexts(attrs)
	return &logHandler{h.json, [2]slog.Handler{h.formats[0].WithAttrs(attrs), h.formats[1].WithAttrs(attrs)}}
}

// WithGroup implements slog.Handler.
func (h *logHandler) WithGroup(name string) slog.Handler {
	return &logHandler{h.json, [2]slog.Handler{h.formats[0].WithGroup(name), h.formats[1].WithGroup(name)}}
}

// hasDuration reports whether v is, contains or can become a duration.
func hasDuration(v slog.Value) bool {
	switch v.Kind() {
	case slog.KindDuration, slog.KindLogValuer:
		return true
	case slog.KindGroup:
		return slices.ContainsFunc(v.Group(), func(a slog.Attr) bool { return hasDuration(a.Value) })
	}
	return false
}

// durationText returns the attribute with durations as text.
func durationText(a slog.Attr) slog.Attr {
	switch v := a.Value.Resolve(); v.Kind() {
	case slog.KindDuration:
		return slog.String(a.Key, v.Duration().String())
	case slog.KindGroup:
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(durationTexts(v.Group())...)}
	}
	return a
}

func durationTexts(attrs []slog.Attr) []slog.Attr {
	shown := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		shown[i] = durationText(a)
	}
	return shown
}

// isTerminal reports whether v, a reader or a writer, is a terminal.
func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
