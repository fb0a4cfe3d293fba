// Package static serves the files of a directory over HTTP, beside the routes of a bridge.
//
// [New] returns the handler. It answers as [net/http.FileServer] does, with ranges, conditional
// requests and index.html, except that it serves neither files whose name begins with a dot nor
// lists of files, and follows no link out of the directory. In addition, each file has an ETag,
// and a compressed copy beside a file (app.js.br, app.js.gz) is sent to clients that accept it.
// The browser's client is served too, unless the directory has files of these names.
package static
