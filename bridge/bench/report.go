package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

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

// print writes the table as Markdown, in columns that are readable on a terminal too.
func (t *table) print() {
	fmt.Printf("\n**%s**\n\n", t.title)
	widths := make([]int, len(t.rows[0]))
	for _, r := range t.rows {
		for i, cell := range r {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell), 3)
		}
	}
	for i, r := range t.rows {
		fmt.Print("|")
		for k, width := range widths {
			cell := ""
			if k < len(r) {
				cell = r[k]
			}
			fmt.Print(" ", cell, strings.Repeat(" ", width-utf8.RuneCountInString(cell)), " |")
		}
		fmt.Println()
		if i > 0 {
			continue
		}
		for _, width := range widths {
			fmt.Print("|", strings.Repeat("-", width+2))
		}
		fmt.Println("|")
	}
	if len(t.notes) > 0 {
		fmt.Println()
	}
	for _, n := range t.notes {
		fmt.Println("-", strings.Join(strings.Fields(n), " "))
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
