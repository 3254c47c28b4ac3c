// Package app wires each role from its configuration, starts and stops it, and serves its operations pages. It decides nothing about
// transactions.
package app
