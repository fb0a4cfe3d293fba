package main

import (
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

// table is the output of a part.
type table struct {
	title string
	rows  [][]string
	notes []string
}

func newTable(title string, columns ...string) *table {
	return &table{title: title, rows: [][]string{append([]string{""}, columns...)}}
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) note(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

func (t *table) print() {
	fmt.Printf("\n%s\n\n", t.title)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	for _, r := range t.rows {
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	w.Flush()
	for _, n := range t.notes {
		fmt.Println("  ", n)
	}
}

// line is one peer, or one number of clients, in a plot.
type line struct {
	name string
	x, y []float64
}

// draw writes a plot with logarithmic axes to file.
func draw(file, title, x, y string, lines []line) error {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.LogTicks{Prec: -1}, plot.LogTicks{Prec: -1}
	p.Legend.Top = true
	p.Legend.Left = true
	drawn := false
	for i, l := range lines {
		if len(l.x) == 0 {
			continue
		}
		points := make(plotter.XYs, len(l.x))
		for k := range points {
			points[k] = plotter.XY{X: l.x[k], Y: l.y[k]}
		}
		path, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return err
		}
		path.Color, dots.Color = plotutil.Color(i), plotutil.Color(i)
		dots.Shape = plotutil.Shape(i)
		p.Add(path, dots)
		p.Legend.Add(l.name, path, dots)
		drawn = true
	}
	if !drawn {
		return nil
	}
	p.X.Min, p.X.Max = p.X.Min/1.2, p.X.Max*1.2
	p.Y.Min, p.Y.Max = p.Y.Min/2, p.Y.Max*8 // room for the legend
	return p.Save(20*vg.Centimeter, 14*vg.Centimeter, file)
}
