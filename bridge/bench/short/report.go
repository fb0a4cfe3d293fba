package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// tolerance is how much worse the new side may be before the report says so.
const tolerance = 0.05

// report collects the rows of the table and what got worse.
type report struct {
	rows  [][]string
	worse []string
}

func newReport() *report {
	return &report{rows: [][]string{{"", "old", "new", "new/old", "libzmq proxy", ""}}}
}

// add adds one figure. newer and older hold a value for each round; libzmq may be empty.
func (r *report) add(name string, f figure, newer, older, libzmq []float64) {
	var ratios []float64
	for i := range newer {
		ratios = append(ratios, newer[i]/older[i])
	}
	r.rows = append(r.rows, []string{
		name, spread(f.format, older), spread(f.format, newer), spread("%.2f", ratios), spread(f.format, libzmq), f.unit,
	})
	ratio := median(newer) / median(older)
	if f.moreIsGood {
		ratio = 1 / ratio
	}
	if ratio > 1+tolerance {
		r.worse = append(r.worse, fmt.Sprintf("%s, %s: %.0f %%", name, f.unit, (ratio-1)*100))
	}
}

func (r *report) print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range r.rows {
		fmt.Fprintln(w, strings.TrimRight(strings.Join(row, "\t"), "\t"))
	}
	w.Flush()
	if len(r.worse) == 0 {
		fmt.Fprintf(out, "\nnothing is worse by more than %.0f %%, comparing medians\n", tolerance*100)
		return
	}
	fmt.Fprintf(out, "\nworse by more than %.0f %%, comparing medians:\n", tolerance*100)
	for _, s := range r.worse {
		fmt.Fprintln(out, "  ", s)
	}
}

// spread formats the median of the values with the smallest and the largest.
func spread(format string, values []float64) string {
	if len(values) == 0 {
		return ""
	}
	return fmt.Sprintf(format+" ("+format+"-"+format+")", median(values), slices.Min(values), slices.Max(values))
}

// median returns the middle value, or the mean of the two middle ones.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
