// Package buildinfo reports which zwsbridge this is: version, commit, date and Go version, for
// `zwsbridge version`, the log and the metric zwsbridge_build_info.
//
// Releases set version, commit and date with the linker:
//
//	go build -ldflags "-X github.com/zwsbridge/zwsbridge/internal/buildinfo.version=v1.2.3 -X ….commit=… -X ….date=…"
//
// Without that, [Get] takes them from what the go command records: the version of the module for
// `go install …@latest` and for a program that imports the bridge, and the state of the git
// repository for `go build` in it.
package buildinfo

import (
	"cmp"
	"fmt"
	"regexp"
	"runtime/debug"
	"sync"
	"time"
)

// Set by the linker in releases.
var version, commit, date string

const module = "github.com/zwsbridge/zwsbridge"

// Info tells builds apart. What is not known is "unknown".
type Info struct {
	Version   string // of the module, "v1.2.3"; "(devel)" for a build that does not know its commit
	Commit    string // of git, shortened to 12 digits
	Date      string // of the commit, RFC 3339, UTC
	GoVersion string // "go1.26.0"
}

// Get returns what is known about the running program. It may be called concurrently.
var Get = sync.OnceValue(func() Info {
	recorded, ok := debug.ReadBuildInfo()
	if !ok {
		recorded = new(debug.BuildInfo)
	}
	return resolve(Info{Version: version, Commit: commit, Date: date}, recorded)
})

// String returns i in one line, as "v1.2.3 (commit 0123456789ab, 2026-11-30T12:00:00Z) go1.26.0".
func (i Info) String() string {
	return fmt.Sprintf("%s (commit %s, %s) %s", i.Version, i.Commit, i.Date, i.GoVersion)
}

// pseudo is the end of a pseudo-version: the time of the commit and its first digits.
var pseudo = regexp.MustCompile(`[-.](\d{14})-([0-9a-f]{12})(\+\S+)?$`)

// resolve completes linked, what the linker has set, by what the go command has recorded.
func resolve(linked Info, recorded *debug.BuildInfo) Info {
	found := Info{GoVersion: recorded.GoVersion}
	if recorded.Main.Path == module {
		found.Version = recorded.Main.Version
		for _, s := range recorded.Settings { // the repository is that of the main module
			switch s.Key {
			case "vcs.revision":
				found.Commit = s.Value
			case "vcs.time":
				found.Date = s.Value
			}
		}
	}
	for _, m := range recorded.Deps {
		if m.Path == module {
			found.Version = m.Version
			if m.Replace != nil {
				found.Version = m.Replace.Version
			}
		}
	}
	if p := pseudo.FindStringSubmatch(found.Version); p != nil {
		found.Commit = cmp.Or(found.Commit, p[2])
		if at, err := time.Parse("20060102150405", p[1]); err == nil {
			found.Date = cmp.Or(found.Date, at.Format(time.RFC3339))
		}
	}
	i := Info{
		Version:   cmp.Or(linked.Version, found.Version, "(devel)"),
		Commit:    cmp.Or(linked.Commit, found.Commit, "unknown"),
		Date:      cmp.Or(linked.Date, found.Date, "unknown"),
		GoVersion: cmp.Or(found.GoVersion, "unknown"),
	}
	if len(i.Commit) > 12 {
		i.Commit = i.Commit[:12]
	}
	return i
}
