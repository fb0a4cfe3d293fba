// Package examples holds programs and configurations to begin with, one folder each, with a
// README that says how to run it. The tests here run every one of them against the real
// program: those of foreign peers with the build tag interop, as bridge/interop/run does.
package examples
