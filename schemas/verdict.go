package schemas

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Decision is what the policy makes of a probability.
type Decision string

// The decisions, from the mildest to the hardest.
const (
	Approve Decision = "approve"
	Review  Decision = "review"
	Decline Decision = "decline"
)

// BundleID names the model bundle that made a verdict.
type BundleID struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Digest  string `json:"digest"` // "sha256:" and 64 lower-case hexadecimal digits
}

// Source is the position of the input record.
type Source struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

// ID is the text of a transaction id. It is bytes, so that verdicts of one batch after the other can use the same memory; encoding/json
// takes it for text all the same.
type ID []byte

// MarshalText returns the id itself.
func (id ID) MarshalText() ([]byte, error) { return id, nil }

// UnmarshalText copies text.
func (id *ID) UnmarshalText(text []byte) error {
	*id = slices.Clone(text)
	return nil
}

// Verdict is the output for one accepted transaction: what was decided, by which bundle, from which input record.
type Verdict struct {
	TransactionID ID        `json:"transaction_id"`
	Decision      Decision  `json:"decision"`
	Probability   float64   `json:"probability"` // after the objective's transform, compared with the policy
	Margin        float64   `json:"margin"`      // raw sum of the trees
	Bundle        BundleID  `json:"bundle"`
	Findings      []string  `json:"findings"` // the transaction's, in the contract's order
	EventTime     time.Time `json:"event_time"`
	Source        Source    `json:"source"`
}

// Append appends the verdict to dst as one line of JSON, without the newline: fields in the order of the struct, floats in the shortest
// text that reads back to the same float64, the time in UTC. Equal verdicts give equal bytes. It refuses what ParseVerdict would refuse,
// among that NaN, infinities and text that is not UTF-8, and then returns dst as it was.
func (v *Verdict) Append(dst []byte) ([]byte, error) {
	if err := v.check(); err != nil {
		return dst, fmt.Errorf("write verdict for %q: %w", v.TransactionID, err)
	}
	b := append(dst, `{"transaction_id":`...)
	b = appendString(b, v.TransactionID)
	b = append(b, `,"decision":"`...)
	b = append(b, v.Decision...)
	b = append(b, `","probability":`...)
	b = appendFloat(b, v.Probability)
	b = append(b, `,"margin":`...)
	b = appendFloat(b, v.Margin)
	b = append(b, `,"bundle":{"name":`...)
	b = appendString(b, v.Bundle.Name)
	b = append(b, `,"version":`...)
	b = appendString(b, v.Bundle.Version)
	b = append(b, `,"digest":"`...)
	b = append(b, v.Bundle.Digest...)
	b = append(b, `"},"findings":[`...)
	for i, f := range v.Findings {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, f)
	}
	b = append(b, `],"event_time":"`...)
	b = appendTime(b, v.EventTime)
	b = append(b, `","source":{"topic":`...)
	b = appendString(b, v.Source.Topic)
	b = append(b, `,"partition":`...)
	b = appendInt(b, int64(v.Source.Partition))
	b = append(b, `,"offset":`...)
	b = appendInt(b, v.Source.Offset)
	b = append(b, '}', '}')
	if len(b)-len(dst) > MaxVerdictBytes {
		return dst, fmt.Errorf("write verdict for %q: %d bytes are more than %d", v.TransactionID, len(b)-len(dst), MaxVerdictBytes)
	}
	return b, nil
}

// check holds Append and ParseVerdict to the same rules, so that nothing can be published that the audit would refuse.
func (v *Verdict) check() error {
	if len(v.TransactionID) == 0 || len(v.TransactionID) > MaxIDBytes {
		return fmt.Errorf("transaction_id must have 1 to %d bytes", MaxIDBytes)
	}
	switch v.Decision {
	case Approve, Review, Decline:
	default:
		return fmt.Errorf("decision %q is not approve, review or decline", v.Decision)
	}
	if math.IsNaN(v.Probability) || math.IsInf(v.Probability, 0) {
		return fmt.Errorf("probability %v is not finite", v.Probability)
	}
	if math.IsNaN(v.Margin) || math.IsInf(v.Margin, 0) {
		return fmt.Errorf("margin %v is not finite", v.Margin)
	}
	if v.Bundle.Name == "" || v.Bundle.Version == "" {
		return errors.New("bundle.name and bundle.version must not be empty")
	}
	if !validDigest(v.Bundle.Digest) {
		return fmt.Errorf("bundle.digest %q is not sha256: and 64 lower-case hexadecimal digits", v.Bundle.Digest)
	}
	if s := v.EventTime.Unix(); s < minUnix || s > maxUnix {
		return errors.New("event_time is outside of the years 1 to 9999")
	}
	if v.Source.Topic == "" || v.Source.Partition < 0 || v.Source.Offset < 0 {
		return fmt.Errorf("source %q/%d@%d needs a topic and no negative numbers", v.Source.Topic, v.Source.Partition, v.Source.Offset)
	}
	return v.checkText()
}

// validDigest reports whether s is "sha256:" and 64 lower-case hexadecimal digits.
func validDigest(s string) bool {
	const prefix = "sha256:"
	if len(s) != len(prefix)+64 || s[:len(prefix)] != prefix {
		return false
	}
	for i := len(prefix); i < len(s); i++ {
		if c := s[i]; c-'0' > 9 && c-'a' > 5 {
			return false
		}
	}
	return true
}
