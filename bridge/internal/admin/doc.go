// Package admin serves the operators' interface: health checks, metrics, JSON about sessions
// and backends, and a page that shows them.
//
// [New] returns an http.Handler for a listener of its own. What it may ask of the bridge is
// the interface [Source]; it holds no other reference to it. Operators log in with the admin
// token, with a login that the ZAP chain tags, or by redirect to an OIDC provider ([OIDC],
// package oidclogin); package page has the static files of the page.
package admin
