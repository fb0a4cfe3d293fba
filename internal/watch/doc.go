// Package watch calls a function when a file, or the content of a directory, may have changed.
//
// [Start] calls the function once and returns a [Watcher], which calls it again after every
// change until Close. Events are collected for a short time, so that a file is not read while
// it is being written. Files that are replaced by a rename or through a symbolic link, as
// Kubernetes does, are noticed too. [ReadFile] reads such a file, within a limit.
package watch
