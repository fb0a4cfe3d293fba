// Package examples has example programs and configurations, one directory for each, with a
// README that shows how to run it.
//
// The tests of this package follow the READMEs with the real program. Those that need other
// software than Go have the build tag interop; bridge/interop/run runs them.
package examples
