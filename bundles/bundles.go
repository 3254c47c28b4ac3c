// Package bundles holds the sample bundle inside the program, so that the demo needs no file.
package bundles

import (
	"embed"
	"io/fs"
)

//go:embed sample
var files embed.FS

// Sample is the bundle that training made of the simulator's transactions; see training/README.md.
func Sample() fs.FS {
	sub, err := fs.Sub(files, "sample")
	if err != nil {
		panic(err) // the directory is compiled in
	}
	return sub
}
