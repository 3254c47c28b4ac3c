package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// referenceDecode reads an event by a contract with encoding/json, math/big and time, the slow and obvious way. It knows what is refused
// beyond encoding/json, and nothing of how Decoder works.
func referenceDecode(c *Contract, data []byte) (decoded, bool) {
	if len(data) > MaxEventBytes || !utf8.Valid(data) || halfSurrogate(data) || !plainDocument(data) {
		return decoded{}, false
	}
	var event map[string]any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if d.Decode(&event) != nil || event == nil {
		return decoded{}, false
	}
	out := decoded{Row: make([]float64, len(c.features)), Findings: []string{}}
	ok := true
	need := func(p path) any {
		v, fits := lookUp(event, p)
		ok = ok && fits && v != nil
		return v
	}
	id := func(p path) string {
		var s string
		switch v := need(p).(type) {
		case string:
			s = v
		case json.Number:
			s = v.String()
			ok = ok && !strings.ContainsAny(s, ".eE")
		default:
			ok = false
		}
		ok = ok && len(s) > 0 && len(s) <= MaxIDBytes
		return s
	}
	out.ID, out.Key = id(c.id), id(c.key)
	amount, fits := referenceNumber(need(c.amount))
	out.Amount, ok = amount, ok && fits
	t, fits := referenceTime(need(c.time), c.timeFormat)
	ok = ok && fits
	out.Time = t.UTC().Format("2006-01-02T15:04:05.999999999Z07:00")
	for i := range c.features {
		f := &c.features[i]
		v, fits := lookUp(event, f.path)
		if !fits {
			return decoded{}, false
		}
		if v == nil {
			ok = ok && !f.missing.reject
			out.Row[i] = f.missing.value
			out.Findings = append(out.Findings, "missing:"+f.name)
			continue
		}
		value, finding, fits := referenceFeature(f, v)
		ok = ok && fits
		out.Row[i] = value
		if finding != "" {
			out.Findings = append(out.Findings, finding+f.name)
		}
	}
	return out, ok
}

func referenceFeature(f *feature, v any) (value float64, finding string, ok bool) {
	switch f.kind {
	case kindBoolean:
		b, ok := v.(bool)
		if b {
			return 1, "", ok
		}
		return 0, "", ok
	case kindTime:
		t, ok := referenceTime(v, f.format)
		if !ok {
			return 0, "", false
		}
		t = t.In(f.location)
		weekday := (int(t.Weekday()) + 6) % 7
		return float64(map[timePart]int{partHour: t.Hour(), partMinute: t.Minute(), partWeekday: weekday, partDay: t.Day(),
			partMonth: int(t.Month()), partYearday: t.YearDay(), partHourOfWeek: weekday*24 + t.Hour()}[f.part]), "", true
	case kindCategory:
		var code float64
		var known bool
		if s, ok := v.(string); ok {
			if len(f.texts) == 0 {
				return 0, "", false
			}
			code, known = f.texts[s]
		} else {
			n, ok := referenceInteger(v)
			if !ok || len(f.integers) == 0 {
				return 0, "", false
			}
			code, known = f.integers[n]
		}
		if known {
			return code, "", true
		}
		return f.unknown.value, "unknown:", !f.unknown.reject
	}
	value, ok = referenceNumber(v)
	if f.kind == kindInteger && ok {
		_, ok = referenceInteger(v)
	}
	if ok && f.bounded && (value < f.min || value > f.max) {
		return value, "outside:", f.flag
	}
	return value, "", ok
}

func referenceNumber(v any) (float64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	f, err := strconv.ParseFloat(n.String(), 64)
	return f, err == nil
}

// referenceInteger reads whole numbers up to 2^53 exactly.
func referenceInteger(v any) (int64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	mantissa, _, _ := strings.Cut(strings.ToLower(n.String()), "e")
	if !strings.ContainsAny(mantissa, "123456789") {
		return 0, true
	}
	if f, err := n.Float64(); err != nil || math.Abs(f) < 0.5 || math.Abs(f) > 1e17 { // also keeps exponents small for big.Rat
		return 0, false
	}
	r, ok := new(big.Rat).SetString(n.String())
	if !ok || !r.IsInt() || r.Num().CmpAbs(big.NewInt(1<<53)) > 0 {
		return 0, false
	}
	return r.Num().Int64(), true
}

func referenceTime(v any, f timeFormat) (time.Time, bool) {
	var t time.Time
	if f == rfc3339 {
		s, ok := v.(string)
		if !ok {
			return t, false
		}
		var err error
		if t, err = time.Parse(time.RFC3339, s); err != nil || len(s) > len("2006-01-02T15:04:05.999999999+00:00") ||
			strings.Contains(s, ",") || tooFine(s) {
			return t, false
		}
		if _, east := t.Zone(); east <= -86400 || east >= 86400 {
			return t, false
		}
	} else {
		n, ok := referenceInteger(v)
		if !ok {
			return t, false
		}
		if f == unixMillis {
			t = time.UnixMilli(n)
		} else {
			t = time.Unix(n, 0)
		}
	}
	t = t.UTC()
	return t, t.Year() >= 1 && t.Year() <= 9999
}

// tooFine reports more than nine digits of a second, which time.Parse cuts.
func tooFine(s string) bool {
	_, fraction, _ := strings.Cut(s, ".")
	return len(fraction) > 9 && len(strings.TrimLeft(fraction[:10], "0123456789")) == 0
}

// lookUp follows p; it returns nil for what is absent or null, and false if something on the way is no object.
func lookUp(event map[string]any, p path) (any, bool) {
	var v any = event
	for _, name := range p {
		if v == nil {
			return nil, true
		}
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		v = m[name]
	}
	return v, true
}

// plainDocument reports whether data is JSON, without a name twice in one object, nested at most MaxDepth deep, and without long numbers.
func plainDocument(data []byte) bool {
	if !json.Valid(data) {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	type level struct {
		object, value bool
		names         map[string]bool
	}
	var open []level
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return true
		}
		top := len(open) - 1
		if delim, ok := token.(json.Delim); ok && (delim == '}' || delim == ']') {
			open = open[:top]
			continue
		}
		if top >= 0 && open[top].object {
			if !open[top].value {
				name := token.(string)
				if open[top].names[name] {
					return false
				}
				open[top].names[name] = true
				open[top].value = true
				continue
			}
			open[top].value = false
		}
		switch token := token.(type) {
		case json.Delim:
			if len(open) == MaxDepth {
				return false
			}
			open = append(open, level{object: token == '{', names: map[string]bool{}})
		case json.Number:
			if len(token) > MaxNumberBytes {
				return false
			}
		}
	}
}

// halfSurrogate reports whether JSON has a \u escape of half a surrogate pair.
func halfSurrogate(data []byte) bool {
	unit := func(i int) uint64 {
		if i+6 > len(data) || data[i] != '\\' || data[i+1] != 'u' {
			return 0
		}
		n, _ := strconv.ParseUint(string(data[i+2:i+6]), 16, 32)
		return n
	}
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		switch u := unit(i); {
		case u >= 0xd800 && u < 0xdc00:
			if low := unit(i + 6); low < 0xdc00 || low > 0xdfff {
				return true
			}
			i += 11
		case u >= 0xdc00 && u < 0xe000:
			return true
		default:
			i++
		}
	}
	return false
}
