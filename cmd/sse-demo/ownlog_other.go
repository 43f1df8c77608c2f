//go:build !unix

package main

import "io/fs"

// sharedFolder is always "": each user has a temporary directory without others.
func sharedFolder(_, _ fs.FileInfo) string { return "" }
