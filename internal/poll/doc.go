// Package poll waits for many idle network connections with one goroutine, where the system has
// epoll, so that an idle connection needs none of its own.
//
// A [Poller] calls [Watched].Ready once, when something has arrived at a connection or its other side
// has gone. The goroutine that reads the connection from then on gives it back by calling
// [Poller.Watch] again when it has been idle for a while.
package poll
