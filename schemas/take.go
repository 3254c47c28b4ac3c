package schemas

import (
	"bytes"
	"slices"
)

// take gives the value at p to all that the contract makes of it.
func (d *Decoder) take(f *field, p, depth int) int {
	switch d.at(p) {
	case '"':
		end := d.text(p)
		if end < 0 {
			return -1
		}
		text := d.plain(d.data[p+1 : end-1])
		for i := range f.sinks {
			if !d.takeText(&f.sinks[i], p, text) {
				return -1
			}
		}
		return end
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		end := d.number(p)
		if end < 0 {
			return -1
		}
		for i := range f.sinks {
			if !d.takeNumber(&f.sinks[i], p) {
				return -1
			}
		}
		return end
	case 't', 'f':
		end := d.skip(p, depth)
		if end < 0 {
			return -1
		}
		for i := range f.sinks {
			if s := &f.sinks[i]; s.use != useFeature || s.spec.kind != kindBoolean {
				return d.fail(WrongType, p, "true and false are only for boolean features")
			} else if d.data[p] == 't' {
				d.put(s, 1)
			} else {
				d.put(s, 0)
			}
		}
		return end
	case '{', '[':
		return d.refuse(p, depth, "the contract expects a single value")
	}
	return d.skip(p, depth) // null, which is missing, or no JSON
}

// put stores the value of a feature.
func (d *Decoder) put(s *sink, v float64) {
	d.row[s.feature] = v
	d.marks[s.feature] = markWhole
	d.whole++
}

// wrong fails for the value at p.
func (d *Decoder) wrong(c Class, p int, detail string) bool {
	d.fail(c, p, detail)
	return false
}

// broke notes a rule that the event breaks and is scored all the same.
func (d *Decoder) broke(rule int) {
	if !slices.Contains(d.tx.Broken, rule) { // features may share one
		d.tx.Broken = append(d.tx.Broken, rule)
	}
}

// breaks is wrong for a quality rule.
func (d *Decoder) breaks(rule int, c Class, p int, detail string) bool {
	d.wrong(c, p, detail)
	d.err.Rule = rule
	return false
}

// takeText gives a text at p to one sink.
func (d *Decoder) takeText(s *sink, p int, text []byte) bool {
	switch {
	case s.use == useID || s.use == useKey:
		return d.takeID(s, p, text)
	case s.use == useTime || s.use == useFeature && s.spec.kind == kindTime:
		if s.format != rfc3339 {
			return d.wrong(WrongType, p, "the contract expects a time as a number")
		}
		if d.instantAt != p || d.instantOf != rfc3339 {
			t, ok := parseRFC3339(text)
			if !ok {
				return d.wrong(BadTime, p, "not a time as 2006-01-02T15:04:05Z, RFC 3339, in the years 1 to 9999")
			}
			d.instant, d.instantAt, d.instantOf = t, p, rfc3339
		}
		d.putTime(s)
		return true
	case s.use == useFeature && s.spec.kind == kindCategory:
		if len(s.spec.texts) == 0 {
			return d.wrong(WrongType, p, "all codes of this category are for integers")
		}
		v, ok := s.spec.texts[string(text)]
		return d.putCategory(s, p, v, ok)
	case s.use == useFeature && s.spec.kind == kindBoolean:
		return d.wrong(WrongType, p, "the contract expects true or false")
	case notANumber(text):
		return d.wrong(NotANumber, p, "NaN or Infinity as a text")
	}
	return d.wrong(WrongType, p, "the contract expects a number")
}

// takeNumber gives the number at p, which has been scanned, to one sink.
func (d *Decoder) takeNumber(s *sink, p int) bool {
	if s.use == useFeature && s.spec.kind == kindNumber || s.use == useAmount {
		v, ok := d.float()
		if !ok {
			return d.wrong(NumberOverflow, p, "a number beyond float64")
		}
		if s.use == useAmount {
			d.tx.Amount, d.have[useAmount] = v, true
			return true
		}
		return d.putNumber(s, p, v)
	}
	if s.use == useID || s.use == useKey {
		if !d.num.plain {
			return d.wrong(WrongType, p, "the contract expects a text or an integer without fraction and exponent")
		}
		return d.takeID(s, p, d.data[d.num.at:d.num.end])
	}
	if s.use == useTime || s.spec.kind == kindTime {
		if s.format == rfc3339 {
			return d.wrong(WrongType, p, "the contract expects a time as a text")
		}
	} else if s.spec.kind == kindBoolean {
		return d.wrong(WrongType, p, "the contract expects true or false")
	} else if s.spec.kind == kindCategory && len(s.spec.integers) == 0 {
		return d.wrong(WrongType, p, "all codes of this category are for texts")
	}
	n, class := d.integer()
	switch {
	case class == NotAnInteger:
		return d.wrong(class, p, "the contract expects a whole number")
	case class != "":
		return d.wrong(class, p, "an integer beyond 2^53")
	case s.use == useTime || s.spec.kind == kindTime:
		if d.instantAt != p || d.instantOf != s.format {
			t, ok := unixTime(n, s.format)
			if !ok {
				return d.wrong(BadTime, p, "a time outside of the years 1 to 9999")
			}
			d.instant, d.instantAt, d.instantOf = t, p, s.format
		}
		d.putTime(s)
		return true
	case s.spec.kind == kindCategory:
		v, ok := s.spec.integers[n]
		return d.putCategory(s, p, v, ok)
	}
	v, _ := d.float() // not float64(n): it keeps the sign of -0, as encoding/json does
	return d.putNumber(s, p, v)
}

// takeID stores the transaction id or the key.
func (d *Decoder) takeID(s *sink, p int, text []byte) bool {
	if len(text) == 0 || len(text) > MaxIDBytes {
		return d.wrong(BadID, p, "an id or key must have 1 to 256 bytes")
	}
	if s.use == useID {
		d.tx.ID = text
	} else {
		d.tx.Key = text
	}
	d.have[s.use] = true
	return true
}

// putTime stores the time of the transaction or a part of a time.
func (d *Decoder) putTime(s *sink) {
	if s.use == useTime {
		d.tx.Time, d.have[useTime] = d.instant.time(), true
		return
	}
	d.put(s, s.zone.part(d.instant, s.spec.part))
}

func (d *Decoder) putNumber(s *sink, p int, v float64) bool {
	if !s.spec.bounded || v >= s.spec.min && v <= s.spec.max {
		d.put(s, v)
		return true
	}
	if !s.spec.flag {
		return d.breaks(s.spec.rangeRule, OutsideDomain, p, "outside of the domain in the contract")
	}
	d.row[s.feature] = v
	d.marks[s.feature] = markOutside
	d.broke(s.spec.rangeRule)
	return true
}

func (d *Decoder) putCategory(s *sink, p int, v float64, known bool) bool {
	if known {
		d.put(s, v)
		return true
	}
	if s.spec.unknown.reject {
		return d.breaks(s.spec.setRule, UnknownCategory, p, "the contract has no code for this category")
	}
	d.row[s.feature] = s.spec.unknown.value
	d.marks[s.feature] = markUnknown
	d.broke(s.spec.setRule)
	return true
}

// finish fills what the event did not have and collects the findings, in the contract's order.
func (d *Decoder) finish() bool {
	c := d.contract
	for u, p := range [...]path{useID: c.id, useKey: c.key, useTime: c.time, useAmount: c.amount} {
		if !d.have[u] {
			return d.absent(p)
		}
	}
	if d.whole == len(d.marks) {
		return true
	}
	for i, m := range d.marks {
		f := &c.features[i]
		switch m {
		case markWhole:
			continue
		case markMissing:
			if f.missing.reject {
				d.absent(f.path)
				d.err.Rule = f.missingRule
				return false
			}
			d.row[i] = f.missing.value
			d.tx.Findings = append(d.tx.Findings, f.missingText)
		case markOutside:
			d.tx.Findings = append(d.tx.Findings, f.outsideText)
		case markUnknown:
			d.tx.Findings = append(d.tx.Findings, f.unknownText)
		}
	}
	return true
}

func (d *Decoder) absent(p path) bool {
	d.fail(MissingField, len(d.data), "absent or null")
	d.err.Path = p.String()
	return false
}

// notANumber reports whether b is what other languages write for NaN and the infinities.
func notANumber(b []byte) bool {
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		b = b[1:]
	}
	return bytes.EqualFold(b, []byte("nan")) || bytes.EqualFold(b, []byte("inf")) || bytes.EqualFold(b, []byte("infinity"))
}
