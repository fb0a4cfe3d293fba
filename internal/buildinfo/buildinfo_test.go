package buildinfo

import (
	"runtime/debug"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestResolve(t *testing.T) {
	vcs := []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef0123456789abcdef01234567"},
		{Key: "vcs.time", Value: "2026-11-30T12:00:00Z"},
	}
	const goVersion = "go1.26.0"
	bridge := func(version string) debug.Module { return debug.Module{Path: module, Version: version} }
	other := debug.Module{Path: "example.org/portal", Version: "v9.9.9"}
	bridgeAt := bridge("v1.2.3")
	for name, test := range map[string]struct {
		linked   Info
		recorded debug.BuildInfo
		want     Info
	}{
		"go install of a release": {
			recorded: debug.BuildInfo{Main: bridge("v1.2.3")},
			want:     Info{"v1.2.3", "unknown", "unknown", goVersion},
		},
		"go install of a commit": {
			recorded: debug.BuildInfo{Main: bridge("v0.0.0-20261130120000-0123456789ab")},
			want:     Info{"v0.0.0-20261130120000-0123456789ab", "0123456789ab", "2026-11-30T12:00:00Z", goVersion},
		},
		"go install of a commit after a release": {
			recorded: debug.BuildInfo{Main: bridge("v1.2.4-0.20261130120000-0123456789ab")},
			want:     Info{"v1.2.4-0.20261130120000-0123456789ab", "0123456789ab", "2026-11-30T12:00:00Z", goVersion},
		},
		"go build in a repository": {
			recorded: debug.BuildInfo{Main: bridge("v1.2.4-0.20261130120000-0123456789ab+dirty"), Settings: vcs},
			want:     Info{"v1.2.4-0.20261130120000-0123456789ab+dirty", "0123456789ab", "2026-11-30T12:00:00Z", goVersion},
		},
		"go build elsewhere": {
			recorded: debug.BuildInfo{Main: bridge("(devel)")},
			want:     Info{"(devel)", "unknown", "unknown", goVersion},
		},
		"a release": {
			linked:   Info{Version: "v2.0.0", Commit: "fedcba98765443210", Date: "2026-12-01T00:00:00Z"},
			recorded: debug.BuildInfo{Main: bridge("(devel)"), Settings: vcs},
			want:     Info{"v2.0.0", "fedcba987654", "2026-12-01T00:00:00Z", goVersion},
		},
		"a program that imports the bridge": {
			recorded: debug.BuildInfo{Main: other, Deps: []*debug.Module{&bridgeAt}, Settings: vcs},
			want:     Info{"v1.2.3", "unknown", "unknown", goVersion},
		},
		"a program that replaces the bridge by a directory": {
			recorded: debug.BuildInfo{Main: other, Deps: []*debug.Module{{Path: module, Version: "v1.2.3", Replace: &debug.Module{Path: "../zwsbridge"}}}},
			want:     Info{"(devel)", "unknown", "unknown", goVersion},
		},
	} {
		t.Run(name, func(t *testing.T) {
			test.recorded.GoVersion = goVersion
			if d := cmp.Diff(test.want, resolve(test.linked, &test.recorded)); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
	if got := resolve(Info{}, new(debug.BuildInfo)); got != (Info{"(devel)", "unknown", "unknown", "unknown"}) {
		t.Errorf("without build information: %+v", got)
	}
}
