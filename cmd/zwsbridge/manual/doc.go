// Package manual has the pages of the manual, which "zwsbridge help TOPIC" shows.
//
// Each page is a Markdown file of this directory and a [Topic]: Topics lists them, Text returns
// one for a terminal. On GitHub the same files are read with their links. README.md has what a
// newcomer needs first; everything else is here.
package manual
