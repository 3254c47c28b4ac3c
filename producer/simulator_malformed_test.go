package producer

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/mlmonitor/mlmonitor/schemas"
)

// refusals is the class under which the sample contract refuses each kind of malformed event.
var refusals = map[string]schemas.Class{
	"truncated":        schemas.MalformedJSON,
	"not_json":         schemas.MalformedJSON,
	"empty":            schemas.Empty,
	"null":             schemas.WrongType,
	"array":            schemas.WrongType,
	"trailing_data":    schemas.TrailingData,
	"too_deep":         schemas.TooDeep,
	"duplicate_key":    schemas.DuplicateKey,
	"bad_utf8":         schemas.InvalidUTF8,
	"missing_field":    schemas.MissingField,
	"null_amount":      schemas.MissingField,
	"wrong_type":       schemas.WrongType,
	"nan":              schemas.NotANumber,
	"number_overflow":  schemas.NumberOverflow,
	"negative_amount":  schemas.OutsideDomain,
	"unknown_category": schemas.UnknownCategory,
	"bad_event_time":   schemas.BadTime,
}

func sampleContract(t *testing.T) *schemas.Contract {
	t.Helper()
	text, err := os.ReadFile("../bundles/sample/contract.yaml")
	if err != nil {
		t.Fatal(err)
	}
	contract, err := schemas.ParseContract(text)
	if err != nil {
		t.Fatal(err)
	}
	return contract
}

func TestSampleContractRefusesExactlyTheMalformedEvents(t *testing.T) {
	contract := sampleContract(t)
	decoder, row := contract.NewDecoder(), make([]float64, len(contract.FeatureNames()))
	s := startSimulator(t, SimulatorConfig{Seed: 21, Malformed: 0.3})
	var buf []byte
	var tx schemas.Transaction
	seen := map[string]int{}
	for range 20_000 {
		e := s.Next(buf)
		buf = e.Value
		seen[e.Malformed]++
		err := decoder.Decode(e.Value, row, &tx)
		var refused *schemas.Error
		switch {
		case e.Malformed == "" && err != nil:
			t.Fatalf("%v: %s", err, e.Value)
		case e.Malformed == "":
			if string(tx.ID) != e.TransactionID() || !bytes.Equal(tx.Key, e.Key) {
				t.Fatalf("decoded as %s of %s, is %s of %s", tx.ID, tx.Key, e.TransactionID(), e.Key)
			}
		case !errors.As(err, &refused):
			t.Fatalf("%s is accepted, or refused without a class (%v): %s", e.Malformed, err, e.Value)
		case refused.Class != refusals[e.Malformed]:
			t.Fatalf("%s is refused as %v, want %s: %s", e.Malformed, refused, refusals[e.Malformed], e.Value)
		}
	}
	for _, kind := range MalformedKinds() {
		if seen[kind] < 100 {
			t.Errorf("%s came %d times in 20,000 events, want about 350", kind, seen[kind])
		}
	}
	if len(seen) != len(refusals)+1 {
		t.Errorf("kinds seen: %v", seen)
	}
}

func TestEveryShareOfMalformedEventsIsPossible(t *testing.T) {
	all, none := startSimulator(t, SimulatorConfig{Seed: 1, Malformed: 1}), startSimulator(t, SimulatorConfig{Seed: 1})
	for range 1000 {
		if e := all.Next(nil); e.Malformed == "" {
			t.Fatalf("well formed: %s", e.Value)
		}
		if e := none.Next(nil); e.Malformed != "" {
			t.Fatalf("%s: %s", e.Malformed, e.Value)
		}
	}
}

func TestEventsMatchTheirJSONSchema(t *testing.T) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemas.TransactionSchema))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("transaction.schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("transaction.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	s := startSimulator(t, SimulatorConfig{Seed: 22})
	channels := map[string]bool{}
	for range 3000 {
		e := s.Next(nil)
		event, err := jsonschema.UnmarshalJSON(bytes.NewReader(e.Value))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(event); err != nil {
			t.Fatalf("%v: %s", err, e.Value)
		}
		channels[readEvent(t, e.Value).Channel] = true
	}
	if diff := cmp.Diff(map[string]bool{"pos": true, "web": true, "app": true, "atm": true}, channels); diff != "" {
		t.Error(diff)
	}
}
