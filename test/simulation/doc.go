// Package simulation runs the scoring loop, whole, against a broker in the same process, on a clock that only moves when nothing else does: thousands
// of faults a minute, at every request of a transaction, which real processes meet once in a long while. It has tests only.
package simulation
