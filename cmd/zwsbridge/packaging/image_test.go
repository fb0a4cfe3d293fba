//go:build linux

package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/google/go-cmp/cmp"
)

// TestImage builds the image as an OCI archive, unpacks it, and runs it as a container engine
// would: as its user, in its root, with its arguments.
func TestImage(t *testing.T) {
	needs(t)
	date, err := time.Parse(time.RFC3339, testDate)
	if err != nil {
		t.Fatal(err)
	}
	rel := release{version: "v" + testVersion, commit: testCommit, date: date}
	index, err := rel.index([]binary{{program(t), v1.Platform{OS: "linux", Architecture: "amd64"}}})
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "image.tar")
	if err := writeArchive(archive, index); err != nil {
		t.Fatal(err)
	}
	img := readArchive(t, archive)
	if err := validate.Image(img); err != nil {
		t.Errorf("the image is not valid: %v", err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != fmt.Sprintf("%d:%d", uid, uid) {
		t.Errorf("the image runs as %q, want a user that is not root", config.Config.User)
	}

	r := root{t: t, dir: t.TempDir()}
	listed := r.unpack(img)
	want := []string{
		"data drwx------ 65532:65532", "etc drwxr-xr-x 0:0", "etc/group -rw-r--r-- 0:0", "etc/passwd -rw-r--r-- 0:0",
		"etc/ssl drwxr-xr-x 0:0", "etc/ssl/certs drwxr-xr-x 0:0", "etc/ssl/certs/ca-certificates.crt -rw-r--r-- 0:0",
		"zwsbridge -rwxr-xr-x 0:0",
	}
	if d := cmp.Diff(want, listed, cmp.Transformer("sorted", sorted)); d != "" {
		t.Errorf("files of the image, -want +got:\n%s", d)
	}
	if n := strings.Count(r.read("/etc/ssl/certs/ca-certificates.crt"), "BEGIN CERTIFICATE"); n < 100 {
		t.Errorf("the image has %d root certificates, want at least 100", n)
	}

	// What the user puts into the volume.
	text, err := os.ReadFile(filepath.Join(repository, "examples/docker/bridge.toml"))
	if err != nil {
		t.Fatal(err)
	}
	r.write("/data/bridge.toml", strings.NewReplacer(`"0.0.0.0:8443"`, `"127.0.0.1:0"`, `"127.0.0.1:9090"`, `"127.0.0.1:0"`).Replace(string(text)), 0o600)
	u := user{uid, uid}
	if err := os.Chown(r.path("/data/bridge.toml"), uid, uid); err != nil {
		t.Fatal(err)
	}
	entry := func(args ...string) []string { return append(append([]string{}, config.Config.Entrypoint...), args...) }
	key := r.command(t.Context(), u, config.Config.WorkingDir, entry("keygen", "certs/bridge")...)
	if out, err := key.CombinedOutput(); err != nil {
		t.Fatalf("keygen: %v\n%s", err, out)
	}
	r.env = []string{"HOUSE_KEY=rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"}
	s := r.serve(u, config.Config.WorkingDir, entry(config.Config.Cmd...)...)
	s.check(t)

	// The health check, with the port that is in use here.
	r.write("/health.toml", fmt.Sprintf("[admin]\nlisten = %q\n", s.admin), 0o644)
	health := slices.Clone(config.Config.Healthcheck.Test[1:])
	health[len(health)-1] = "/health.toml"
	if out, err := r.command(t.Context(), u, "/", health...).CombinedOutput(); err != nil || string(out) != "ok\n" {
		t.Errorf("health check: %q (%v), want ok", out, err)
	}
	s.stop(t)
	if out, err := r.command(t.Context(), u, "/", health...).CombinedOutput(); err == nil {
		t.Errorf("health check after the end: %q, want a failure", out)
	}
}

func sorted(s []string) map[string]bool {
	set := make(map[string]bool)
	for _, e := range s {
		set[e] = true
	}
	return set
}

// readArchive returns the only image of an OCI archive.
func readArchive(t *testing.T, archive string) v1.Image {
	t.Helper()
	info, err := os.Stat(archive)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	command(t, nil, "tar", "-C", dir, "-xf", archive)
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 1 {
		t.Fatalf("the archive has %d images, want 1", len(manifest.Manifests))
	}
	img, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %.1f MiB, %d layers", filepath.Base(archive), float64(info.Size())/(1<<20), len(layers))
	return img
}

// unpack writes the files of an image and returns each with its mode and owner.
func (r root) unpack(img v1.Image) (listed []string) {
	r.t.Helper()
	content := mutate.Extract(img)
	defer content.Close()
	var size int64
	for tr := tar.NewReader(content); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			r.t.Fatal(err)
		}
		mode := h.FileInfo().Mode()
		listed = append(listed, fmt.Sprintf("%s %v %d:%d", h.Name, mode, h.Uid, h.Gid))
		if mode.IsDir() {
			if err := os.MkdirAll(r.path(h.Name), 0o755); err != nil {
				r.t.Fatal(err)
			}
		} else {
			data, err := io.ReadAll(tr)
			if err != nil {
				r.t.Fatal(err)
			}
			r.write(h.Name, string(data), mode)
			size += h.Size
		}
		if err := errors.Join(os.Chmod(r.path(h.Name), mode.Perm()), os.Chown(r.path(h.Name), h.Uid, h.Gid)); err != nil {
			r.t.Fatal(err)
		}
	}
	if err := os.Chmod(r.dir, 0o755); err != nil {
		r.t.Fatal(err)
	}
	r.t.Logf("%.1f MiB unpacked", float64(size)/(1<<20))
	return listed
}
