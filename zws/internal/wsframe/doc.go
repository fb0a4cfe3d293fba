// Package wsframe builds and parses WebSocket frames (RFC 6455, section 5) for the server
// side: what a server sends is not masked, what it receives is.
//
// [AppendHeader], [AppendControl] and [AppendClose] build frames in memory of the caller, so
// that many frames become one write. [ParseHeader] reads the header of a frame that may not
// have arrived whole, and [Header.Unmask] its payload. The package keeps no state and reads
// no connection; nothing in it allocates but what append needs.
package wsframe
