package admin

import (
	"fmt"
	"strings"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/metrics"
)

// Problem is something that an operator should look at.
type Problem struct {
	// Severity is "error" if clients cannot be served because of it, else "warning".
	Severity string `json:"severity"`
	// Kind is unready, degraded, source, backend, reload or certificate.
	Kind  string    `json:"kind"`
	Text  string    `json:"text"`
	Since time.Time `json:"since,omitzero"`
}

const (
	severe  = "error"
	warning = "warning"
)

// maxBackendProblems is of how many backends the problems are listed.
const maxBackendProblems = 20

// A certificate is a problem for its last two weeks, and a severe one for its last three days.
const (
	certificateWarning = 14 * 24 * time.Hour
	certificateSevere  = 3 * 24 * time.Hour
)

// problems lists what is wrong. reload is why the last one has failed, nil if it has not; certificate is
// when that of the listener expires, zero if that is unknown.
func problems(ready Readiness, reload *metrics.ReloadFailure, certificate time.Time, endpoints []EndpointStatus) []Problem {
	list := []Problem{}
	for _, text := range ready.Unready {
		list = append(list, Problem{Severity: severe, Kind: "unready", Text: text})
	}
	if reload != nil {
		list = append(list, Problem{
			Severity: severe, Kind: "reload", Since: reload.Time,
			Text: "the configuration was not reloaded, the previous one stays in use: " + reload.Err.Error(),
		})
	}
	if left := time.Until(certificate); !certificate.IsZero() && left < certificateWarning {
		list = append(list, certificateProblem(certificate, left))
	}
	for _, text := range ready.Degraded {
		if !strings.HasPrefix(text, "source failed: ") { // below, with the reason
			list = append(list, Problem{Severity: warning, Kind: "degraded", Text: text})
		}
	}
	return append(list, backendProblems(endpoints)...)
}

func certificateProblem(end time.Time, left time.Duration) Problem {
	p := Problem{Severity: warning, Kind: "certificate"}
	if left < certificateSevere {
		p.Severity = severe
	}
	verb := "expires"
	if left < 0 {
		verb = "has expired"
	}
	p.Text = "the TLS certificate " + verb + " at " + end.UTC().Format(time.RFC3339)
	return p
}

func backendProblems(endpoints []EndpointStatus) (list []Problem) {
	left := 0
	for i := range endpoints {
		e := &endpoints[i]
		switch {
		case !failing(e.State):
		case len(list) >= maxBackendProblems:
			left++
		default:
			list = append(list, backendProblem(e))
		}
	}
	if left > 0 {
		list = append(list, Problem{Severity: warning, Kind: "backend", Text: fmt.Sprintf("%d more backends: see /backends?group=endpoint", left)})
	}
	return list
}

func backendProblem(e *EndpointStatus) Problem {
	p := Problem{Severity: warning, Kind: "backend", Since: e.Since, Text: fmt.Sprintf("%s of %s is %s", e.Address, e.Route, e.State)}
	switch e.State {
	case "refused":
		p.Severity, p.Text = severe, fmt.Sprintf("%s of %s refuses the login", e.Address, e.Route)
	case sourceFailed:
		p.Kind, p.Text = "source", fmt.Sprintf("%s of %s cannot be read", e.Address, e.Route)
	}
	if n := e.connections(); n > 1 {
		p.Text += fmt.Sprintf(" (%d of %d connections)", e.States[e.State], n)
	}
	if e.Error != "" {
		p.Text += ": " + e.Error
	}
	return p
}
