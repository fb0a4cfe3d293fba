package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is a mistake in a configuration, or a warning about a value that is legal but risky.
type Fault struct {
	File string // empty for a configuration made in Go
	Line int    // counted from 1; 0 if the fault is not at one line
	// Key is the path of the key or table, with the index of an entry of an array counted
	// from 0: route[1].mechanism. Empty if the fault is not at one key.
	Key string
	// Text says what is wrong and what would be right. It holds no secret.
	Text string
	// Route is the path of the route that Key is in; empty if it is in none, or has no path.
	Route string
	// Warning means that the configuration can be used nevertheless.
	Warning bool
}

// String returns FILE:LINE: KEY: TEXT (route PATH), without the parts that are empty.
func (f Fault) String() string {
	var b strings.Builder
	if f.File != "" {
		b.WriteString(f.File)
		if f.Line > 0 {
			fmt.Fprintf(&b, ":%d", f.Line)
		}
		b.WriteString(": ")
	}
	if f.Warning {
		b.WriteString("warning: ")
	}
	if f.Key != "" {
		b.WriteString(f.Key + ": ")
	}
	b.WriteString(f.Text)
	if f.Route != "" {
		fmt.Fprintf(&b, " (route %s)", f.Route)
	}
	return b.String()
}

// Faults are all faults of a configuration, in the order of their lines.
type Faults []Fault

// Err returns nil if there are only warnings, else an [*Error] with a line for each fault.
func (f Faults) Err() error {
	var lines []string
	for _, fault := range f {
		if !fault.Warning {
			lines = append(lines, fault.String())
		}
	}
	if lines == nil {
		return nil
	}
	return &Error{lines}
}

// Warnings returns the warnings.
func (f Faults) Warnings() []Fault {
	var warnings []Fault
	for _, fault := range f {
		if fault.Warning {
			warnings = append(warnings, fault)
		}
	}
	return warnings
}

// Error reports the faults of a configuration that cannot be used.
type Error struct {
	Lines []string // one for each fault
}

func (e *Error) Error() string { return strings.Join(e.Lines, "\n") }

// reporter collects faults.
type reporter struct {
	file   string
	lines  lineIndex
	faults Faults
	// expanded are the references to environment variables in the file, by value: a fault
	// must not show a value.
	expanded map[string]string
}

func (r *reporter) fault(key, format string, args ...any) {
	r.add(Fault{Key: key, Text: fmt.Sprintf(format, args...)})
}

func (r *reporter) warn(key, format string, args ...any) {
	r.add(Fault{Key: key, Text: fmt.Sprintf(format, args...), Warning: true})
}

// hasFault reports whether key, or a key or entry in it, has a fault already: what follows from
// that is not reported as well.
func (r *reporter) hasFault(key string) bool {
	return slices.ContainsFunc(r.faults, func(f Fault) bool {
		rest, in := strings.CutPrefix(f.Key, key)
		return in && !f.Warning && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

func (r *reporter) add(f Fault) {
	f.File = r.file
	f.Line = r.lines.line(f.Key)
	f.Text = r.hide(f.Text)
	r.faults = append(r.faults, f)
}

// hide replaces the values of environment variables by their references.
func (r *reporter) hide(text string) string {
	values := make([]string, 0, len(r.expanded))
	for v := range r.expanded {
		values = append(values, v)
	}
	// Longer values first: they can contain shorter ones.
	slices.SortFunc(values, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	})
	var pairs []string
	for _, v := range values {
		quoted := fmt.Sprintf("%q", v)
		pairs = append(pairs, v, r.expanded[v], quoted[1:len(quoted)-1], r.expanded[v])
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// nameRoutes adds the paths of the routes to the faults that are in one.
func (r *reporter) nameRoutes(routes []Route) {
	for i := range routes {
		key := entry("route", i)
		for n := range r.faults {
			f := &r.faults[n]
			if rest, ok := strings.CutPrefix(f.Key, key); ok && rest != ".path" {
				f.Route = r.hide(routes[i].Path)
			}
		}
	}
}

// sorted returns the faults in the order of their lines.
func (r *reporter) sorted() Faults {
	slices.SortStableFunc(r.faults, func(a, b Fault) int { return cmp.Compare(a.Line, b.Line) })
	return r.faults
}

// choices formats a list of allowed values: "a", "b" or "c".
func choices[T ~string](allowed []T) string {
	quoted := make([]string, len(allowed))
	for i, a := range allowed {
		quoted[i] = fmt.Sprintf("%q", string(a))
	}
	if len(quoted) < 2 {
		return strings.Join(quoted, "")
	}
	last := len(quoted) - 1
	return strings.Join(quoted[:last], ", ") + " or " + quoted[last]
}
