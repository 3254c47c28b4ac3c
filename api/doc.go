// Package api answers single transactions over HTTP. It does not decide: a transaction is published to the input topic with an address for its reply, the scorer that owns the partition decides, and what
// comes back is a committed verdict, that the audit and a replay know too.
package api
