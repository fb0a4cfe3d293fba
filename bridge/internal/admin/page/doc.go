// Package page serves the admin page: the HTML, CSS and JavaScript with which an operator
// watches the bridge in a browser.
//
// The files contain no secrets and need no login. The page reads /summary, /sessions (a page of them),
// /backends, /refusals and others of the admin interface, which do. Mount [Handler] at each pattern of [Paths].
package page
