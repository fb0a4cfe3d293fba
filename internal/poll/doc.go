// Package poll serves many network connections with few goroutines, where the system has epoll.
//
// [Read] and [Write] read and write a socket without waiting. A [Poller] watches sockets, and calls
// a function, the turn of a [Watch], when something has arrived: a few loops, each of which is one
// goroutine, call all turns one after the other. A turn reads what has arrived, handles it and
// writes what follows from it, all without waiting, so that no goroutine has to be woken for it.
//
// A turn that has to wait calls [Watch.Yield] first: the loop then continues in another goroutine,
// and the turn has the one that it runs in to itself until it returns. So code that a turn calls
// stays straight-line code. A turn that waits without having said so, or that works for long, loses
// the loop to another goroutine after a while.
package poll
