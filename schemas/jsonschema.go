package schemas

import _ "embed" // for the JSON Schemas

// VerdictSchema is the JSON Schema (2020-12) of a verdict: what Append writes and ParseVerdict accepts.
//
//go:embed verdict.schema.json
var VerdictSchema []byte

// TransactionSchema is the JSON Schema (2020-12) of the events that the transaction simulator makes. What a scorer accepts is up to the
// contract of its bundle.
//
//go:embed transaction.schema.json
var TransactionSchema []byte
