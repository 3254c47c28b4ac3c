package schemas

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

var (
	timeFormats = map[string]timeFormat{"rfc3339": rfc3339, "unix_s": unixSeconds, "unix_ms": unixMillis}
	timeParts   = map[string]timePart{"hour": partHour, "minute": partMinute, "weekday": partWeekday, "day": partDay, "month": partMonth,
		"yearday": partYearday, "hour_of_week": partHourOfWeek}
	kinds = map[string]kind{"number": kindNumber, "integer": kindInteger, "boolean": kindBoolean, "time": kindTime,
		"category": kindCategory}
	// Keys of a feature beside name, path, type and missing, and the types they are for.
	keysOf = map[kind][]string{
		kindNumber: {"domain", "outside"}, kindInteger: {"domain", "outside"}, kindTime: {"format", "part", "zone"},
		kindCategory: {"codes", "unknown"},
	}
)

// ParseContract reads contract.yaml, at most MaxContractBytes. It refuses what it does not know, and says the line and what to write
// instead.
func ParseContract(yaml []byte) (*Contract, error) {
	c, err := parseContract(yaml)
	if err != nil {
		return nil, fmt.Errorf("read contract: %w", err)
	}
	return c, nil
}

func parseContract(yaml []byte) (*Contract, error) {
	root, err := parseYAML(yaml)
	if err != nil {
		return nil, err
	}
	r := &contractReader{}
	top := r.block(root, "the contract", "version", "event", "features", "quality")
	if version := r.need(top, "version", "the contract", root); version != nil && r.float(version, "version") != 1 {
		r.fail(version, "version must be 1; this program knows no other")
	}
	c := &Contract{}
	uses := newUses(r)
	r.event(c, r.need(top, "event", "the contract", root), uses)
	r.features(c, r.need(top, "features", "the contract", root), uses)
	uses.check()
	if r.err == nil {
		r.quality(c, top["quality"])
	}
	if r.err != nil {
		return nil, r.err
	}
	return c, nil
}

func (r *contractReader) event(c *Contract, n ast.Node, uses *uses) {
	if n == nil {
		return
	}
	event := r.block(n, "event", "transaction_id", "key", "event_time", "amount")
	place := func(key string) (ast.Node, path) {
		at := r.need(event, key, "event", n)
		return at, r.path(at, "event."+key)
	}
	var at ast.Node
	at, c.id = place("transaction_id")
	uses.add(at, c.id, "event.transaction_id", aText|aNumber)
	at, c.key = place("key")
	uses.add(at, c.key, "event.key", aText|aNumber)
	at, c.amount = place("amount")
	uses.add(at, c.amount, "event.amount", aNumber)
	at = r.need(event, "event_time", "event", n)
	if at == nil {
		return
	}
	eventTime := r.block(at, "event.event_time", "path", "format")
	c.time = r.path(r.need(eventTime, "path", "event.event_time", at), "event.event_time.path")
	c.timeFormat = choice(r, r.need(eventTime, "format", "event.event_time", at), "event.event_time.format", timeFormats)
	uses.add(at, c.time, "event.event_time", c.timeFormat.shape())
}

func (r *contractReader) features(c *Contract, n ast.Node, uses *uses) {
	list, ok := n.(*ast.SequenceNode)
	if !ok || len(list.Values) == 0 || len(list.Values) > MaxFeatures {
		if n != nil {
			r.fail(n, "features must be a list of 1 to %d features", MaxFeatures)
		}
		return
	}
	c.features = make([]feature, len(list.Values))
	lines := map[string]int{}
	for i, n := range list.Values {
		if r.err != nil {
			return
		}
		f := &c.features[i]
		r.feature(f, n, uses)
		if line, twice := lines[f.name]; twice {
			r.fail(n, "the feature %q is already on line %d", f.name, line)
		}
		lines[f.name] = n.GetToken().Position.Line
	}
}

// feature reads one feature. Its errors name it as soon as its name is known.
func (r *contractReader) feature(f *feature, n ast.Node, uses *uses) {
	values := r.block(n, "a feature", "name", "path", "type", "missing", "domain", "outside", "format", "part", "zone", "codes", "unknown")
	f.name = r.text(r.need(values, "name", "a feature", n), "a feature's name")
	what := fmt.Sprintf("feature %q", f.name)
	f.path = r.path(r.need(values, "path", what, n), what+": path")
	f.kind = choice(r, r.need(values, "type", what, n), what+": type", kinds)
	r.checkKeys(f, values, what)
	f.missing = r.rule(values["missing"], what+": missing", "default", f.kind == kindCategory)
	f.missingText, f.outsideText, f.unknownText = "missing:"+f.name, "outside:"+f.name, "unknown:"+f.name
	switch f.kind {
	case kindNumber, kindInteger:
		r.domain(f, values, what)
	case kindTime:
		f.format = choice(r, r.need(values, "format", what, n), what+": format", timeFormats)
		f.part = choice(r, r.need(values, "part", what, n), what+": part", timeParts)
		f.location = r.zone(values["zone"], what+": zone")
	case kindCategory:
		r.codes(f, r.need(values, "codes", what, n), what+": codes")
		f.unknown = r.rule(values["unknown"], what+": unknown", "code", true)
	}
	uses.add(n, f.path, what, f.shape())
}

// checkKeys refuses keys that are for features of another type.
func (r *contractReader) checkKeys(f *feature, values map[string]ast.Node, what string) {
	for _, other := range []kind{kindNumber, kindTime, kindCategory} {
		for _, key := range keysOf[other] {
			if values[key] != nil && (len(keysOf[f.kind]) == 0 || keysOf[f.kind][0] != keysOf[other][0]) {
				r.fail(values[key], "%s: %q is not for this type", what, key)
			}
		}
	}
}

// rule reads reject, nan, or a mapping of key to a number.
func (r *contractReader) rule(n ast.Node, what, key string, code bool) rule {
	switch n.(type) {
	case nil:
		return rule{reject: true}
	case *ast.MappingNode, *ast.MappingValueNode:
		value := r.need(r.block(n, what, key), key, what, n)
		if code {
			return rule{value: r.code(value, what)}
		}
		return rule{value: r.float(value, what)}
	case *ast.StringNode:
		switch n.(*ast.StringNode).Value {
		case "reject":
			return rule{reject: true}
		case "nan":
			return rule{value: math.NaN()}
		}
	}
	r.fail(n, "%s must be reject, nan or {%s: number}, not %s", what, key, describe(n))
	return rule{reject: true}
}

func (r *contractReader) domain(f *feature, values map[string]ast.Node, what string) {
	n := values["domain"]
	if n == nil {
		if values["outside"] != nil {
			r.fail(values["outside"], `%s: "outside" needs a "domain"`, what)
		}
		return
	}
	domain := r.block(n, what+": domain", "min", "max")
	f.bounded, f.min, f.max = true, math.Inf(-1), math.Inf(1)
	if domain["min"] != nil {
		f.min = r.float(domain["min"], what+": domain.min")
	}
	if domain["max"] != nil {
		f.max = r.float(domain["max"], what+": domain.max")
	}
	if len(domain) == 0 || f.min > f.max {
		r.fail(n, "%s: domain needs a min, a max or both, and min must not be above max", what)
	}
	f.flag = choice(r, values["outside"], what+": outside", map[string]bool{"reject": false, "flag": true})
}

// zone loads a zone of the IANA database, UTC if none is named.
func (r *contractReader) zone(n ast.Node, what string) *time.Location {
	if n == nil {
		return time.UTC
	}
	name := r.text(n, what)
	if r.err != nil {
		return nil
	}
	location, err := time.LoadLocation(name)
	if err != nil || name == "Local" { // Local is another zone on each machine
		r.fail(n, "%s: %q is no zone of the IANA database, as Europe/Berlin is", what, name)
	}
	return location
}

// codes reads the table of a category. Keys that YAML reads as integers are for integers of JSON, texts for texts.
func (r *contractReader) codes(f *feature, n ast.Node, what string) {
	pairs := r.pairs(n, what)
	if n != nil && (len(pairs) == 0 || len(pairs) > MaxCategories) {
		r.fail(n, "%s must have 1 to %d entries", what, MaxCategories)
		return
	}
	f.texts, f.integers = map[string]float64{}, map[int64]float64{}
	for _, pair := range pairs {
		var twice bool
		switch key := pair.Key.(type) {
		case *ast.IntegerNode:
			num := r.decimal(key, what)
			v, class := num.integer()
			if class != "" {
				r.fail(key, "%s: %s is beyond 2^53", what, key)
			}
			_, twice = f.integers[v]
			f.integers[v] = r.code(pair.Value, what)
		case *ast.StringNode:
			if key.GetToken().Type == token.StringType && strings.ContainsAny(key.Value[:min(1, len(key.Value))], "0123456789+-.") {
				// The library takes 1e3 and the like for a text; whether it is one must not be guessed.
				r.fail(key, "%s: put %s in quotes if it is a text, or write an integer", what, key.Value)
			}
			_, twice = f.texts[key.Value]
			f.texts[key.Value] = r.code(pair.Value, what)
		default:
			r.fail(pair.Key, "%s: the key %s is neither a text nor an integer; put it in quotes if it is a text", what, pair.Key)
		}
		if twice {
			r.fail(pair.Key, "%s: %s is there twice", what, pair.Key)
		}
	}
}
