package producer

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
)

// damage replaces a share of the events by malformed ones.
type damage struct {
	share float64
	rng   *rand.Rand
}

// pick returns a kind of damage, or nil for an event that stays as it is.
func (d damage) pick() *damageKind {
	if d.share == 0 || d.rng.Float64() >= d.share {
		return nil
	}
	return &damageKinds[d.rng.IntN(len(damageKinds))]
}

// damageKind is a way in which an event is malformed.
type damageKind struct {
	name  string
	apply func(event []byte) []byte // changes the event in place where it can
}

// damageKinds are faults that senders have been seen to make, and that no contract with these fields as required ones may accept.
var damageKinds = []damageKind{
	{"truncated", func(e []byte) []byte { return e[:len(e)*2/3] }},
	{"not_json", func(e []byte) []byte { return append(e[:0], "amount=12.50&currency=EUR"...) }},
	{"empty", func(e []byte) []byte { return e[:0] }},
	{"null", func(e []byte) []byte { return append(e[:0], "null"...) }},
	{"array", func(e []byte) []byte { return append(slices.Insert(e, 0, '['), ']') }},
	{"trailing_data", func(e []byte) []byte { return append(e, `{"transaction_id":"tx-0"}`...) }},
	{"too_deep", func(e []byte) []byte {
		return addField(e, `"note":`+strings.Repeat("[", 1000)+strings.Repeat("]", 1000))
	}},
	{"duplicate_key", func(e []byte) []byte { return addField(e, `"amount":1`) }},
	{"bad_utf8", func(e []byte) []byte { return replaceValue(e, "transaction_id", "\"tx-\xc3\x28\"") }},
	{"missing_field", func(e []byte) []byte { return rename(e, "amount", "amnt") }},
	{"null_amount", func(e []byte) []byte { return replaceValue(e, "amount", "null") }},
	{"wrong_type", func(e []byte) []byte { return replaceValue(e, "amount", `"12.50"`) }},
	{"nan", func(e []byte) []byte { return replaceValue(e, "amount", "NaN") }},
	{"number_overflow", func(e []byte) []byte { return replaceValue(e, "amount", "1e999") }},
	{"negative_amount", func(e []byte) []byte { return replaceValue(e, "amount", "-12.5") }},
	{"unknown_category", func(e []byte) []byte { return replaceValue(e, "channel", `"fax"`) }},
	{"bad_event_time", func(e []byte) []byte { return replaceValue(e, "event_time", `"2026-02-30 25:61"`) }},
}

// MalformedKinds are the kinds that Event.Malformed names.
func MalformedKinds() []string {
	names := make([]string, len(damageKinds))
	for i, k := range damageKinds {
		names[i] = k.name
	}
	return names
}

// addField puts a member at the end of the event's object.
func addField(event []byte, member string) []byte {
	event = append(event[:len(event)-1], ',')
	event = append(event, member...)
	return append(event, '}')
}

// replaceValue puts text in the place of the scalar that a name has, which comes once in an event.
func replaceValue(event []byte, name, text string) []byte {
	start := bytes.Index(event, []byte(`"`+name+`":`)) + len(name) + 3
	end := start + bytes.IndexAny(event[start:], ",}")
	return slices.Replace(event, start, end, []byte(text)...)
}

// rename gives a member another name.
func rename(event []byte, name, to string) []byte {
	start := bytes.Index(event, []byte(`"`+name+`":`)) + 1
	return slices.Replace(event, start, start+len(name), []byte(to)...)
}
