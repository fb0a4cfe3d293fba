// Command packaging builds the container image of zwsbridge from the binaries of a release, without
// a container engine:
//
//	go run . -dist ../../../dist -o image.tar
//	go run . -dist ../../../dist -push ghcr.io/zwsbridge/zwsbridge
//
// Everything else of a release is described in .github/goreleaser.yaml, which takes from this
// directory: generate, for files that are made from the repository, and linux, for what the
// deb and rpm packages contain and run. The tests build the packages as that file says, install
// them in a minimal Debian and run the service and the image as the users they are made for. The
// script run installs the tools that the tests need.
//
// It is a module of its own, so that the tools for packages and images do not become
// dependencies of zwsbridge.
package main
