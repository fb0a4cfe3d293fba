// Package takeover starts a program again and hands its listeners over, so that a new version or
// another configuration of them is served without a moment in which nobody listens.
//
// The process that runs calls [Start] with its listeners. The process that it starts calls
// [Inherit], which returns a [Parent]: its listeners are taken from there instead of opened. They speak over
// a socket pair, a line each:
//
//	release          the new process needs the files that one process only can have open
//	released TIME    the old process has closed them; TIME is when it stopped writing, in Unix nanoseconds
//	ready            the new process serves
//	main             the old process has told systemd, and ends its sessions now
//	left N           it has N connections left
//	failed TEXT      the new process cannot start, and ends
//
// The end of the connection is the end of the process on its other side. Only Unix-like systems pass
// listeners on; elsewhere [Start] fails.
//
// github.com/cloudflare/tableflip does the same for programs that open their listeners once: it keeps
// a descriptor of each for the life of the process, so that an endpoint that a reload removes would
// go on to accept connections; it has nothing like release, and no second upgrade while the process
// before the first has connections left.
package takeover
