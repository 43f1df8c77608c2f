// Package web holds the demo page. It needs no build step and loads nothing from
// elsewhere.
package web

import "embed"

// Files are the page and what it loads.
//
//go:embed *.html *.js *.css *.svg
var Files embed.FS
