package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is something wrong with a configuration file, or legal but open.
type Fault struct {
	File string
	Line int // counted from 1; 0 if the file as a whole is meant
	// Key is the path of the key or table, with the index of an array's entry counted
	// from 0: route[1].mechanism. Empty if the file as a whole is meant.
	Key string
	// Text says what is wrong and what is allowed. It holds no secret.
	Text string
	// Warning tells that the file is legal nevertheless.
	Warning bool
}

// String is F:LINE: key.path: text.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d", f.Line)
	}
	b.WriteString(": ")
	if f.Warning {
		b.WriteString("warning: ")
	}
	if f.Key != "" {
		b.WriteString(f.Key + ": ")
	}
	b.WriteString(f.Text)
	return b.String()
}

// Faults are all that [Load] found, in the order of the lines.
type Faults []Fault

// Err is nil if there are only warnings, else an error with a line for each fault.
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

// Warnings are those that leave the file legal.
func (f Faults) Warnings() []Fault {
	var warnings []Fault
	for _, fault := range f {
		if fault.Warning {
			warnings = append(warnings, fault)
		}
	}
	return warnings
}

// Error is a configuration that cannot be used.
type Error struct {
	Lines []string // one for each fault
}

func (e *Error) Error() string { return strings.Join(e.Lines, "\n") }

// reporter collects faults.
type reporter struct {
	file   string
	lines  lineIndex
	faults Faults
	// expanded are the environment variables that stand in the file, by value: a fault
	// must not show what they hold.
	expanded map[string]string
}

func (r *reporter) fault(key, format string, args ...any) {
	r.add(Fault{Key: key, Text: fmt.Sprintf(format, args...)})
}

func (r *reporter) warn(key, format string, args ...any) {
	r.add(Fault{Key: key, Text: fmt.Sprintf(format, args...), Warning: true})
}

func (r *reporter) add(f Fault) {
	f.File = r.file
	f.Line = r.lines.line(f.Key)
	f.Text = r.hide(f.Text)
	r.faults = append(r.faults, f)
}

// hide puts the names of environment variables back in the places of their values.
func (r *reporter) hide(text string) string {
	values := make([]string, 0, len(r.expanded))
	for v := range r.expanded {
		values = append(values, v)
	}
	// Longer values first: one may hold another.
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

// sorted are the faults in the order of the file.
func (r *reporter) sorted() Faults {
	slices.SortStableFunc(r.faults, func(a, b Fault) int { return cmp.Compare(a.Line, b.Line) })
	return r.faults
}

// choices words a list of allowed values.
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
