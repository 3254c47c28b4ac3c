package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// ModelEvent says which bundle decides from which offsets of the input topic on. It is a record of the topic of models, written in the transaction of the first verdicts under the
// bundle: Timeline says how events are read.
type ModelEvent struct {
	Bundle   BundleID `json:"bundle"`
	Canary   *Canary  `json:"canary,omitempty"`   // who decides for some keys instead
	Previous string   `json:"previous,omitempty"` // digest of the bundle that this member had before; empty at its start
	Reason   string   `json:"reason"`             // such as the alias that moved
	Instance string   `json:"instance"`           // of the member
	Topic    string   `json:"topic"`              // the input
	// Offsets are those of the first inputs that the bundle decides, by partition. None: the member has the bundle, and nothing to score yet.
	Offsets map[int32]int64 `json:"offsets,omitempty"`
}

// Encode writes the event: the same event gives the same bytes.
func (e *ModelEvent) Encode() ([]byte, error) { return json.Marshal(e) }

// ParseModelEvent reads one; unknown names are errors.
func ParseModelEvent(data []byte) (e ModelEvent, err error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil {
		return e, fmt.Errorf("read model event: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return e, fmt.Errorf("read model event: text after the JSON object")
	}
	if e.Bundle.Digest == "" || e.Topic == "" {
		return e, fmt.Errorf("read model event: it names no bundle or no topic")
	}
	if e.Canary != nil {
		if err := e.Canary.Validate(); err != nil {
			return e, fmt.Errorf("read model event: %w", err)
		}
	}
	return e, nil
}
