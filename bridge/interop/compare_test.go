package interop

import (
	"slices"
	"testing"
)

func equal(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func sorted(s ...string) []string {
	slices.Sort(s)
	return s
}
