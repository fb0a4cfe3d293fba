// Package repeat limits how often the same kind of line is written to a log, so that a flood of
// refusals or faults does not fill it: the first line is written at once, then at most one in each
// interval, which tells how many like it were left out.
//
// A [Limiter] counts by key. [Limiter.Do] limits one line of a caller that knows its kind, and
// [Limiter.Handler] limits the warnings and errors of a [slog.Handler]. The caller closes the
// Limiter, which writes what it holds.
package repeat
