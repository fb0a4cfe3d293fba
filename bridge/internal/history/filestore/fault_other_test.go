//go:build !linux

package filestore

func withoutRoot() {}
