package load

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
)

// Root returns the root of the repository that this program was built from.
func Root() string {
	_, source, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(source), "..", "..", "..")
}

// Build builds the program zwsbridge of the repository in root. Builds of two commits differ
// in nothing but their source: no path and no revision gets into the binary.
func Build(root, binary string) error {
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", binary, "./cmd/zwsbridge")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build zwsbridge in %s: %w\n%s", root, err, out)
	}
	return nil
}
