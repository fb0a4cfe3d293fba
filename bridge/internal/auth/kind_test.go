package auth

import (
	"path/filepath"
	"slices"
	"testing"
)

// TestKindsInBothPackages checks that each kind of authenticator has its two files, here and in
// bridge/config, and that each file here registers one.
func TestKindsInBothPackages(t *testing.T) {
	files := func(dir string) []string {
		paths, err := filepath.Glob(filepath.Join(dir, "auth_*.go"))
		if err != nil {
			t.Fatal(err)
		}
		names := make([]string, 0, len(paths))
		for _, p := range paths {
			if name := filepath.Base(p); name != "auth_test.go" {
				names = append(names, name)
			}
		}
		return names
	}
	here, there := files("."), files("../../config")
	if !slices.Equal(here, there) {
		t.Errorf("files of kinds: %v here, %v in bridge/config", here, there)
	}
	if len(builders) != len(here) {
		t.Errorf("%d kinds are registered by %d files", len(builders), len(here))
	}
}
