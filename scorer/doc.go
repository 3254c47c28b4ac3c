// Package scorer turns transaction events into verdicts under a model bundle. It is pure: what it returns depends on the bundle and the
// event alone, and it reads no clock, environment or network; files come through an fs.FS.
package scorer
