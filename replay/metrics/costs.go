package metrics

import (
	"bytes"
	"fmt"
	"math"

	"github.com/goccy/go-yaml"
)

// Money is in ten-thousandths of the currency of the amounts: whole numbers, so that sums do not depend on their order.
type Money int64

// Float gives units of the currency.
func (m Money) Float() float64 { return float64(m) / 10_000 }

// maxAmount is what is counted of an amount at most, in units: beyond, the sum of a topic could overflow.
const maxAmount = 1e9

// MoneyOf rounds units of the currency; what is negative, as a refund is, risks nothing.
func MoneyOf(units float64) Money {
	return Money(math.Round(min(max(units, 0), maxAmount) * 10_000))
}

// Costs are what decisions cost, in the currency of the amounts, and how many of them there may be: the same file as training/costs.yaml.
//
// A fraud that is approved costs its amount × FraudShare + FraudFixed; an honest customer who is declined amount × DeclinedShare + DeclinedFixed; a review ReviewFixed, and of the frauds in
// review the share 1 − ReviewCatches is approved all the same.
type Costs struct {
	FraudShare       float64 `yaml:"fraud_share" json:"fraud_share"`
	FraudFixed       float64 `yaml:"fraud_fixed" json:"fraud_fixed"`
	DeclinedShare    float64 `yaml:"declined_share" json:"declined_share"`
	DeclinedFixed    float64 `yaml:"declined_fixed" json:"declined_fixed"`
	ReviewFixed      float64 `yaml:"review_fixed" json:"review_fixed"`
	ReviewCatches    float64 `yaml:"review_catches" json:"review_catches"`
	ReviewsPerDay    float64 `yaml:"reviews_per_day" json:"reviews_per_day"`
	MaxDeclinedShare float64 `yaml:"max_declined_share" json:"max_declined_share"`
}

// ParseCosts reads a file of costs; a name that is unknown or missing, and a value out of range, are errors.
func ParseCosts(data []byte) (*Costs, error) {
	names := map[string]any{}
	if err := yaml.UnmarshalWithOptions(data, &names); err != nil {
		return nil, fmt.Errorf("costs: %w", err)
	}
	var c Costs
	if err := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(&c); err != nil {
		return nil, fmt.Errorf("costs: %w", err)
	}
	for _, f := range []struct {
		name  string
		value float64
		most  float64
	}{
		{"fraud_share", c.FraudShare, 1}, {"fraud_fixed", c.FraudFixed, 1e6}, {"declined_share", c.DeclinedShare, 1}, {"declined_fixed", c.DeclinedFixed, 1e6}, {"review_fixed", c.ReviewFixed, 1e6},
		{"review_catches", c.ReviewCatches, 1}, {"reviews_per_day", c.ReviewsPerDay, 1e12}, {"max_declined_share", c.MaxDeclinedShare, 1},
	} {
		if _, there := names[f.name]; !there {
			return nil, fmt.Errorf("costs: %s is missing", f.name)
		}
		if !(f.value >= 0 && f.value <= f.most) {
			return nil, fmt.Errorf("costs: %s is %v: 0 to %v is needed", f.name, f.value, f.most)
		}
	}
	return &c, nil
}

// Of gives what approving, reviewing and declining a transaction would cost.
func (c *Costs) Of(amount float64, fraud bool) (costs [3]Money) {
	amount = min(max(amount, 0), maxAmount)
	lost := 0.0
	if fraud {
		lost = amount*c.FraudShare + c.FraudFixed
	} else {
		costs[2] = MoneyOf(amount*c.DeclinedShare + c.DeclinedFixed)
	}
	costs[0] = MoneyOf(lost)
	costs[1] = MoneyOf(c.ReviewFixed + lost*(1-c.ReviewCatches))
	return costs
}
