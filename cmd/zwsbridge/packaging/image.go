package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// uid is the user and group that the image runs as: that of distroless's "nonroot".
const uid = 65532

// binary is the program for one platform.
type binary struct {
	path     string
	platform v1.Platform
}

// release is what is the same in all images of a version.
type release struct {
	version string // "v1.2.3"
	commit  string
	date    time.Time // of the commit: also the time of all files, so that a build can be repeated
}

// image returns the image for one platform: a static program, CA certificates and nothing else.
func (r release) image(b binary) (v1.Image, error) {
	program, err := os.ReadFile(b.path)
	if err != nil {
		return nil, err
	}
	base, err := r.layer([]file{
		{name: "data/", mode: 0o700, owner: uid}, // the volume: bridge.toml and the files that it names
		{name: "etc/", mode: 0o755},
		{name: "etc/group", mode: 0o644, data: fmt.Appendf(nil, "root:x:0:\nzwsbridge:x:%d:\n", uid)},
		{name: "etc/passwd", mode: 0o644, data: fmt.Appendf(nil, "root:x:0:0::/:/\nzwsbridge:x:%d:%d::/data:/\n", uid, uid)},
		{name: "etc/ssl/", mode: 0o755},
		{name: "etc/ssl/certs/", mode: 0o755},
		{name: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, data: roots()},
	})
	if err != nil {
		return nil, err
	}
	top, err := r.layer([]file{{name: "zwsbridge", mode: 0o755, data: program}})
	if err != nil {
		return nil, err
	}
	img, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1),
		mutate.Addendum{Layer: base, History: v1.History{CreatedBy: "CA certificates and /data", Created: v1.Time{Time: r.date}}},
		mutate.Addendum{Layer: top, History: v1.History{CreatedBy: "zwsbridge " + r.version, Created: v1.Time{Time: r.date}}})
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant = b.platform.OS, b.platform.Architecture, b.platform.Variant
	config.Created = v1.Time{Time: r.date}
	config.Config = r.config()
	img, err = mutate.ConfigFile(img, config)
	if err != nil {
		return nil, err
	}
	return mutate.ConfigMediaType(img, types.OCIConfigJSON), nil
}

func (r release) config() v1.Config {
	return v1.Config{
		User:         fmt.Sprintf("%d:%d", uid, uid),
		WorkingDir:   "/data",
		Entrypoint:   []string{"/zwsbridge"},
		Cmd:          []string{"serve", "--config", "/data/bridge.toml"},
		Env:          []string{"PATH=/"},
		Volumes:      map[string]struct{}{"/data": {}},
		ExposedPorts: map[string]struct{}{"8443/tcp": {}},
		StopSignal:   "SIGTERM",
		Healthcheck: &v1.HealthConfig{ // Kubernetes ignores it
			Test:        []string{"CMD", "/zwsbridge", "health", "--live", "--config", "/data/bridge.toml"},
			Interval:    30 * time.Second,
			Timeout:     10 * time.Second,
			StartPeriod: 10 * time.Second,
		},
		Labels: map[string]string{
			"org.opencontainers.image.title":    "zwsbridge",
			"org.opencontainers.image.source":   "https://github.com/zwsbridge/zwsbridge",
			"org.opencontainers.image.licenses": "MPL-2.0",
			"org.opencontainers.image.version":  r.version,
			"org.opencontainers.image.revision": r.commit,
			"org.opencontainers.image.created":  r.date.UTC().Format(time.RFC3339),
		},
	}
}

// index returns the images for all platforms.
func (r release) index(binaries []binary) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, b := range binaries {
		img, err := r.image(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.platform.String(), err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &b.platform}})
	}
	return index, nil
}

// file is a file of a layer, or a directory if name ends with "/".
type file struct {
	name  string
	mode  int64
	owner int
	data  []byte
}

func (r release) layer(files []file) (v1.Layer, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range files {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Uid: f.owner, Gid: f.owner, Size: int64(len(f.data)), ModTime: r.date}
		if f.name[len(f.name)-1] == '/' {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil },
		tarball.WithMediaType(types.OCILayer))
}

// roots returns Mozilla's root certificates in PEM, without those that hold under conditions
// which the file cannot express.
func roots() []byte {
	var buf bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&buf, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a bytes.Buffer does not fail
		}
	}
	return buf.Bytes()
}

// writeArchive writes index as an OCI archive: an OCI image layout in a tar file.
func writeArchive(name string, index v1.ImageIndex) (err error) {
	dir, err := os.MkdirTemp("", "image")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if _, err := layout.Write(filepath.Join(dir, "oci"), index); err != nil {
		return err
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	w := tar.NewWriter(f)
	if err := w.AddFS(os.DirFS(filepath.Join(dir, "oci"))); err != nil {
		f.Close()
		return err
	}
	if err := w.Close(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
