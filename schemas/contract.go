package schemas

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Contract says which fields of an event become which features of a model, and which values are refused. It does not change once parsed
// and may be shared.
type Contract struct {
	id, key, time, amount path
	timeFormat            timeFormat
	features              []feature // in the model's order
	rules                 []Rule
	recordRules           []int // those of the quality list that look at one record
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

	missingRule, rangeRule, setRule int // of a broken clause, in Contract.rules

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

// TimeFeature reports whether feature i is a part of a time.
func (c *Contract) TimeFeature(i int) bool { return c.features[i].kind == kindTime }

// CategoryLabels gives the names of the codes of feature i, joined by | where several have one; nil for a feature that is no category.
func (c *Contract) CategoryLabels(i int) map[float64]string {
	f := &c.features[i]
	if f.kind != kindCategory {
		return nil
	}
	names := map[float64][]string{}
	for text, code := range f.texts {
		names[code] = append(names[code], text)
	}
	for n, code := range f.integers {
		names[code] = append(names[code], strconv.FormatInt(n, 10))
	}
	const shown = 3
	labels := map[float64]string{}
	for code, all := range names {
		slices.Sort(all)
		labels[code] = strings.Join(all[:min(shown, len(all))], "|")
		if len(all) > shown {
			labels[code] += fmt.Sprintf("|+%d", len(all)-shown)
		}
	}
	for _, r := range []rule{f.unknown, f.missing} {
		if !r.reject && r.value == r.value && labels[r.value] == "" {
			labels[r.value] = "unknown"
		}
	}
	return labels
}
