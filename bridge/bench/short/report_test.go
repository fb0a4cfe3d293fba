package main

import (
	"strings"
	"testing"
)

func TestReportNamesWhatIsWorse(t *testing.T) {
	r := newReport()
	cpu := figure{unit: "CPU s", format: "%.1f"}
	rate := figure{unit: "trips/s", format: "%.0f", moreIsGood: true}
	r.add("fan-out", cpu, []float64{3, 1, 2}, []float64{2, 2, 2}, nil)
	r.add("serial", cpu, []float64{2.2}, []float64{2}, []float64{9})
	r.add("serial", rate, []float64{80}, []float64{100}, nil)
	r.add("faster", rate, []float64{120}, []float64{100}, nil)
	var out strings.Builder
	r.print(&out)
	table, worse, _ := strings.Cut(out.String(), "worse by more than 5 %")
	for _, want := range []string{"2.0 (1.0-3.0)", "1.00 (0.50-1.50)", "9.0 (9.0-9.0)"} {
		if !strings.Contains(table, want) {
			t.Errorf("the table lacks %q:\n%s", want, table)
		}
	}
	for _, want := range []string{"serial, CPU s: 10 %", "serial, trips/s: 25 %"} {
		if !strings.Contains(worse, want) {
			t.Errorf("%q is not reported as worse:\n%s", want, worse)
		}
	}
	for _, unwanted := range []string{"fan-out", "faster"} {
		if strings.Contains(worse, unwanted) {
			t.Errorf("%q is reported as worse:\n%s", unwanted, worse)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{[]float64{7}, 7}, {[]float64{3, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := median(c.values); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.values, got, c.want)
		}
	}
}
