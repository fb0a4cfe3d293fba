// Package js embeds the browser client and serves it over HTTP: ES modules that a page
// imports from the bridge, without a bundler. README.md describes the client itself.
//
// [Handler] serves zws.js, which a page imports, and the modules below zws/ that it imports
// in turn. A page loads some of them only when it uses them: zws/curve.js and zws/nacl.js to
// log in with CURVE, zws/history.js for a Sub with a history, zws/mux.js for several sockets on
// one WebSocket, and zws/relay.js for relays on such a connection. [Serves] reports whether
// Handler has a module for a URL path, so that a caller can try its own files first.
// [Sparkline] has a module for the admin page and the demo, which is not part of the client.
package js
