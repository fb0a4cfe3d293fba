package js

import "embed"

// Sparkline holds sparkline.js, which draws the small graphs of the demo and of the
// admin page. It is not part of the client: [Handler] does not serve it.
//
//go:embed sparkline.js
var Sparkline embed.FS
