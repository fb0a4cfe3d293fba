package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/zwsbridge/zwsbridge/internal/buildinfo"
)

// newBuild returns the metric that tells builds apart. Its value is always 1.
func newBuild() prometheus.Collector {
	info := buildinfo.Get()
	m := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "zwsbridge_build_info", Help: "Version, commit and Go version of zwsbridge; always 1.",
		ConstLabels: prometheus.Labels{"version": info.Version, "commit": info.Commit, "goversion": info.GoVersion},
	})
	m.Set(1)
	return m
}
