package schemas

import (
	"slices"
	"strings"
	"time"
)

// Contract says which fields of an event become which features of a model, and which values are refused. It does not change once parsed
// and may be shared.
type Contract struct {
	id, key, time, amount path
	timeFormat            timeFormat
	features              []feature // in the model's order
}

// path leads from the event to one value, through the names of objects.
type path []string

func (p path) String() string { return strings.Join(p, ".") }

// kind is the type of a feature.
type kind uint8

const (
	kindNumber kind = iota + 1
	kindInteger
	kindBoolean
	kindTime
	kindCategory
)

// rule says what becomes of a value that is missing or unknown.
type rule struct {
	reject bool
	value  float64 // if not reject; NaN for the model's own missing value
}

// feature is one input of the model.
type feature struct {
	name    string
	path    path
	kind    kind
	missing rule

	bounded  bool // number, integer
	min, max float64
	flag     bool // values outside score, with a finding

	format   timeFormat // time
	part     timePart
	location *time.Location

	texts    map[string]float64 // category
	integers map[int64]float64
	unknown  rule

	// Findings, made once.
	missingText, outsideText, unknownText string
}

// FeatureNames returns the names of the features in the model's order.
func (c *Contract) FeatureNames() []string {
	names := make([]string, len(c.features))
	for i := range c.features {
		names[i] = c.features[i].name
	}
	return slices.Clip(names)
}

// CategoryFeature reports whether feature i, in the order of FeatureNames, is a category. Its values are then codes, not quantities.
func (c *Contract) CategoryFeature(i int) bool { return c.features[i].kind == kindCategory }
