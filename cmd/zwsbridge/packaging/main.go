package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func main() {
	var (
		dist   = flag.String("dist", "dist", "goreleaser's `directory`, with artifacts.json and metadata.json")
		output = flag.String("o", "", "write the images of all platforms to this OCI archive")
		push   = flag.String("push", "", "push them to this `repository`, with the version as tag, and \"latest\" unless it is a pre-release; the login is that of docker or podman")
	)
	flag.Parse()
	if err := run(*dist, *output, *push); err != nil {
		fmt.Fprintln(os.Stderr, "packaging:", err)
		os.Exit(1)
	}
}

func run(dist, output, push string) error {
	r, binaries, err := readDist(dist)
	if err != nil {
		return err
	}
	index, err := r.index(binaries)
	if err != nil {
		return err
	}
	if output != "" {
		if err := writeArchive(output, index); err != nil {
			return err
		}
		fmt.Println("wrote", output)
	}
	if push == "" {
		return nil
	}
	for _, tag := range tags(r.version) {
		ref, err := name.NewTag(push + ":" + tag)
		if err != nil {
			return err
		}
		if err := remote.WriteIndex(ref, index, remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
			return err
		}
		fmt.Println("pushed", ref)
	}
	return nil
}

// tags returns the tags of the image of a version, "v1.2.3" or "v1.2.3-rc.1".
func tags(version string) []string {
	bare := strings.TrimPrefix(version, "v")
	if strings.ContainsAny(bare, "-+") {
		return []string{strings.ReplaceAll(bare, "+", "-")}
	}
	parts := strings.Split(bare, ".")
	return []string{bare, strings.Join(parts[:len(parts)-1], "."), "latest"}
}

// readDist returns what goreleaser has built for Linux.
func readDist(dir string) (release, []binary, error) {
	var metadata struct {
		Version, Commit string
	}
	var artifacts []struct {
		Type, Path          string
		Goos, Goarch, Goarm string
	}
	for name, into := range map[string]any{"metadata.json": &metadata, "artifacts.json": &artifacts} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return release{}, nil, err
		}
		if err := json.Unmarshal(text, into); err != nil {
			return release{}, nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	var binaries []binary
	for _, a := range artifacts {
		if a.Type != "Binary" || a.Goos != "linux" {
			continue
		}
		platform := v1.Platform{OS: a.Goos, Architecture: a.Goarch}
		if a.Goarm != "" {
			platform.Variant = "v" + a.Goarm
		}
		// Paths are relative to the parent of dist.
		binaries = append(binaries, binary{path: filepath.Join(filepath.Dir(filepath.Clean(dir)), a.Path), platform: platform})
	}
	if len(binaries) == 0 {
		return release{}, nil, fmt.Errorf("%s has no binaries for linux", dir)
	}
	built, err := os.Stat(binaries[0].path) // goreleaser gives binaries the time of the commit
	if err != nil {
		return release{}, nil, err
	}
	return release{version: "v" + metadata.Version, commit: metadata.Commit, date: built.ModTime().UTC()}, binaries, nil
}
