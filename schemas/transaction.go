package schemas

import "time"

// Transaction is what an event says apart from its features. Decode fills it and reuses its slices.
type Transaction struct {
	// ID and Key are text of 1 to MaxIDBytes bytes. They may alias the event or the decoder and are valid until the next Decode.
	ID, Key []byte
	Time    time.Time // when the transaction happened, in UTC
	Amount  float64   // in the event's own currency, finite
	// Timestamp is the record's; the caller sets it, zero where there is none.
	Timestamp time.Time
	// Broken are the quality rules that the event breaks and is scored all the same, as indices of Contract.Rules, each once. The slice is valid until the next Decode.
	Broken []int
	// Findings are "missing:NAME", "outside:NAME" and "unknown:NAME", at most one for each feature, in the contract's order, then "quality:NAME". The slice
	// is valid until the next Decode; its strings live as long as the contract.
	Findings []string
}
