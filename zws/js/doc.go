// Package js embeds the browser client and serves it over HTTP: ES modules that a page
// imports from the bridge, without a bundler. README.md describes the client itself.
//
// [Handler] serves /zws.js, one minified file with all that a socket needs, and files that a page
// loads only when it uses them: /zws/curve.js to log in with CURVE, /zws/history.js for a Sub with a
// history, /zws/relay.js for relays on a Mux, /zws/store.js for user interfaces. /zws/mux.js exports Mux,
// from /zws.js. They are in dist, made by "npm run bundle" from zws.js and zws/, which are served beside
// them where the names differ.
// [Serves] reports whether Handler has a file for a URL path, so that a caller can try its own files
// first.
// [Sparkline] has a module for the admin page and the demo, which is not part of the client.
package js
