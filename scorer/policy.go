package scorer

import (
	"bytes"
	"fmt"

	"github.com/goccy/go-yaml"

	"github.com/mlmonitor/mlmonitor/schemas"
)

// Policy turns a probability into a decision.
type Policy struct {
	Version int     `yaml:"version"`
	Review  float64 `yaml:"review"`  // probability from which a person looks at the transaction
	Decline float64 `yaml:"decline"` // probability from which it is declined
}

// ParsePolicy reads policy.yaml; unknown keys are errors.
func ParsePolicy(data []byte) (Policy, error) {
	var p Policy
	if err := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(&p); err != nil {
		return Policy{}, fmt.Errorf("policy.yaml: %w", err)
	}
	switch {
	case p.Version != 1:
		return Policy{}, fmt.Errorf("policy.yaml: version is %d, this program reads version 1", p.Version)
	case !(0 <= p.Review && p.Review <= p.Decline && p.Decline <= 1):
		return Policy{}, fmt.Errorf("policy.yaml: review %v and decline %v must satisfy 0 ≤ review ≤ decline ≤ 1", p.Review, p.Decline)
	}
	return p, nil
}

// Decide gives the decision for a probability.
func (p Policy) Decide(probability float64) schemas.Decision {
	switch {
	case probability >= p.Decline:
		return schemas.Decline
	case probability >= p.Review:
		return schemas.Review
	}
	return schemas.Approve
}
