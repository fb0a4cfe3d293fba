package printable

import (
	"context"
	"log/slog"
)

// The limits on the text of an attribute in a log line, in bytes.
const (
	maxText = 500
	// maxName is enough for every name of ZAP, which has 255 bytes.
	maxName = 4*255 + 2
)

// userKey is the key of attributes that hold a user name.
const userKey = "user"

// Handler returns a handler that passes records on to next with bounded attributes: user names
// (the key "user") in the form of [Name], other text as [Text] has it, and durations as text.
func Handler(next slog.Handler) slog.Handler { return handler{next} }

type handler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	bounded := slog.NewRecord(r.Time, r.Level, Text(r.Message, maxText), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		bounded.AddAttrs(show(a))
		return true
	})
	return h.Handler.Handle(ctx, bounded)
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	shown := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		shown[i] = show(a)
	}
	return handler{h.Handler.WithAttrs(shown)}
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }

// show returns the attribute as it is logged.
func show(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		text := v.String()
		if a.Key == userKey {
			return slog.String(a.Key, Text(Name(text), maxName))
		}
		return slog.String(a.Key, Text(text, maxText))
	case slog.KindDuration: // package slog writes nanoseconds to JSON, without a unit
		return slog.String(a.Key, v.Duration().String())
	case slog.KindGroup:
		var group []any
		for _, member := range v.Group() {
			group = append(group, show(member))
		}
		return slog.Group(a.Key, group...)
	case slog.KindAny:
		if err, ok := v.Any().(error); ok {
			return slog.String(a.Key, Text(err.Error(), maxText))
		}
	}
	return slog.Attr{Key: a.Key, Value: v}
}
