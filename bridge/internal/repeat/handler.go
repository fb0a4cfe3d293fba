package repeat

import (
	"context"
	"log/slog"
	"slices"
	"strings"
)

// Suppressed is the key of the attribute that tells how many lines were left out.
const Suppressed = "suppressed"

// distinguishing are the attributes that, beside level and message, make two records different
// kinds. Their values come from the configuration, or are few.
var distinguishing = []string{"route", "listener", "endpoint", "source", "state", "code", "what", "name", "file", "path", "directory"}

// Handler returns a handler that passes records on to next, of warnings and errors of the same
// kind at most one in each interval of l. The kind is the level, the message and the attributes
// that say where it happened.
func (l *Limiter) Handler(next slog.Handler) slog.Handler { return handler{Handler: next, limiter: l} }

type handler struct {
	slog.Handler
	limiter *Limiter
	with    string // distinguishing attributes from WithAttrs
}

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelWarn {
		return h.Handler.Handle(ctx, r)
	}
	h.limit(ctx, r)
	return nil
}

// limit passes r on unless too many of its kind were. It is apart from Handle so that a record below
// the level of warnings is not copied to the heap.
func (h handler) limit(ctx context.Context, r slog.Record) {
	key := new(strings.Builder)
	key.WriteString(r.Level.String())
	key.WriteString(r.Message)
	key.WriteString(h.with)
	r.Attrs(func(a slog.Attr) bool {
		distinguish(key, a)
		return true
	})
	ctx = context.WithoutCancel(ctx)
	h.limiter.Do(key.String(), func(extra int) {
		if extra > 0 {
			r = r.Clone()
			r.AddAttrs(slog.Int(Suppressed, extra))
		}
		_ = h.Handler.Handle(ctx, r) // a log that fails has no other log
	})
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	key := new(strings.Builder)
	key.WriteString(h.with)
	for _, a := range attrs {
		distinguish(key, a)
	}
	return handler{h.Handler.WithAttrs(attrs), h.limiter, key.String()}
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler {
	return handler{h.Handler.WithGroup(name), h.limiter, h.with}
}

func distinguish(key *strings.Builder, a slog.Attr) {
	if slices.Contains(distinguishing, a.Key) {
		key.WriteString("\x00" + a.Key + "=" + a.Value.String())
	}
}
