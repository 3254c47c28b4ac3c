package schemas

import (
	"fmt"
	"slices"
)

// Class says in one word why an event was refused. It is a metric label and a dead-letter header, so the set is small and fixed.
type Class string

// The classes of refused events.
const (
	Empty           Class = "empty"            // no bytes, or only white space
	TooLarge        Class = "too_large"        // longer than MaxEventBytes
	MalformedJSON   Class = "malformed_json"   // not JSON by RFC 8259
	TrailingData    Class = "trailing_data"    // something other than white space after the event
	InvalidUTF8     Class = "invalid_utf8"     // bytes that are not UTF-8, or half of a surrogate pair as \u escape
	TooDeep         Class = "too_deep"         // nested deeper than MaxDepth
	DuplicateKey    Class = "duplicate_key"    // one name twice in one object, wherever it is
	WrongType       Class = "wrong_type"       // a value of another JSON type than the contract says
	NotANumber      Class = "not_a_number"     // NaN or Infinity, bare or as text
	NotAnInteger    Class = "not_an_integer"   // a fraction where the contract says integer
	NumberOverflow  Class = "number_overflow"  // beyond float64, or beyond 2^53 for an integer
	NumberTooLong   Class = "number_too_long"  // a number written in more than MaxNumberBytes
	MissingField    Class = "missing_field"    // absent or null, and the contract has no value for that
	OutsideDomain   Class = "outside_domain"   // outside of the contract's domain
	UnknownCategory Class = "unknown_category" // not in the contract's code table
	BadTime         Class = "bad_time"         // not a time in the contract's format, or outside of the years 1 to 9999
	QualityRule     Class = "quality_rule"     // breaks a rule of the contract's quality list that dead-letters
	BadID           Class = "bad_id"           // an empty transaction id or key, or one longer than MaxIDBytes
)

var classes = []Class{
	Empty, TooLarge, MalformedJSON, TrailingData, InvalidUTF8, TooDeep, DuplicateKey, WrongType,
	NotANumber, NotAnInteger, NumberOverflow, NumberTooLong, MissingField, OutsideDomain,
	UnknownCategory, BadTime, BadID, QualityRule,
}

// Classes returns every class Decode can give, so that metrics can be registered before the first event.
func Classes() []Class { return slices.Clone(classes) }

// Error says why an event was refused. Decode returns it as *Error; it never depends on what the decoder read before.
type Error struct {
	Class  Class
	Path   string // names joined by dots, as far as it is known; empty for the event as a whole
	Offset int    // byte of the event where the reason was seen; the length of the event for what is missing
	Detail string // what was wrong, in words, without bytes of the event
	Rule   int    // the quality rule that it breaks, an index of Contract.Rules
}

// Error returns class, path, offset and detail in one line.
func (e *Error) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("event refused at byte %d: %s: %s", e.Offset, e.Class, e.Detail)
	}
	return fmt.Sprintf("event refused at byte %d: %s: %s: %s", e.Offset, e.Class, e.Path, e.Detail)
}
