package schemas

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

// ParseVerdict reads one verdict as Append writes it; white space and the order of fields are free. It refuses unknown, missing and
// repeated fields, other types, and every value that Append refuses. What Append wrote comes back the same from
// Append(ParseVerdict(…)), byte for byte. The verdict does not alias data.
func ParseVerdict(data []byte) (Verdict, error) {
	r := verdictReader{scanner: scanner{data: data}}
	if len(data) > MaxVerdictBytes {
		return Verdict{}, fmt.Errorf("read verdict: %d bytes are more than %d", len(data), MaxVerdictBytes)
	}
	v := &r.verdict
	p := r.object(r.space(0), verdictFields, r.verdictField)
	if p >= 0 {
		if p = r.space(p); p < len(data) {
			p = r.fail(TrailingData, p, "something follows the verdict")
		}
	}
	if p < 0 {
		return Verdict{}, fmt.Errorf("read verdict: byte %d: %s: %s", r.err.Offset, r.err.Class, r.err.Detail)
	}
	if err := v.check(); err != nil {
		return Verdict{}, fmt.Errorf("read verdict for %q: %w", v.TransactionID, err)
	}
	return *v, nil
}

var (
	verdictFields = []string{"transaction_id", "decision", "probability", "margin", "bundle", "findings", "event_time", "source"}
	bundleFields  = []string{"name", "version", "digest"}
	sourceFields  = []string{"topic", "partition", "offset"}
)

// verdictReader is a scanner that fills a verdict.
type verdictReader struct {
	scanner
	verdict Verdict
	scratch []byte
}

// object reads an object that has each of the fields once; read takes the value of field i at p.
func (r *verdictReader) object(p int, fields []string, read func(i, p int) int) int {
	if r.at(p) != '{' {
		return r.unexpected(p, "an object")
	}
	p = r.space(p + 1)
	seen, next := 0, 0
	for {
		var i int
		start := p
		if i, p = r.field(p, fields, next); p < 0 {
			return -1
		}
		if seen&(1<<i) != 0 {
			return r.fail(DuplicateKey, start, "the field "+fields[i]+" comes twice")
		}
		seen |= 1 << i
		next = i + 1
		p = r.space(p)
		if r.at(p) != ':' {
			return r.unexpected(p, "a colon")
		}
		if p = read(i, r.space(p+1)); p < 0 {
			return -1
		}
		p = r.space(p)
		switch r.at(p) {
		case ',':
			p = r.space(p + 1)
			continue
		case '}':
			if seen != 1<<len(fields)-1 {
				return r.fail(MissingField, p, "a field is missing; there must be "+fmt.Sprint(fields))
			}
			return p + 1
		}
		return r.unexpected(p, "a comma or the end of the object")
	}
}

// field reads the name of a field, most likely fields[next].
func (r *verdictReader) field(p int, fields []string, next int) (int, int) {
	if r.at(p) != '"' {
		return 0, r.unexpected(p, "a field")
	}
	end := r.text(p)
	if end < 0 {
		return 0, -1
	}
	name := r.data[p+1 : end-1]
	if r.escaped {
		r.scratch = unescape(r.scratch[:0], name)
		name = r.scratch
	}
	if next < len(fields) && string(name) == fields[next] {
		return next, end
	}
	for i, f := range fields {
		if string(name) == f {
			return i, end
		}
	}
	return 0, r.fail(WrongType, p, "an unknown field; known are "+fmt.Sprint(fields))
}

func (r *verdictReader) verdictField(i, p int) int {
	v := &r.verdict
	switch verdictFields[i] {
	case "transaction_id":
		text, end := r.raw(p)
		v.TransactionID = slices.Clone(text)
		return end
	case "decision":
		return r.decision(p)
	case "probability":
		return r.float(p, &v.Probability)
	case "margin":
		return r.float(p, &v.Margin)
	case "bundle":
		return r.object(p, bundleFields, r.bundleField)
	case "findings":
		return r.findings(p)
	case "event_time":
		return r.time(p)
	default:
		return r.object(p, sourceFields, r.sourceField)
	}
}

func (r *verdictReader) bundleField(i, p int) int {
	b := &r.verdict.Bundle
	return r.string(p, [...]*string{&b.Name, &b.Version, &b.Digest}[i])
}

func (r *verdictReader) sourceField(i, p int) int {
	s := &r.verdict.Source
	switch sourceFields[i] {
	case "topic":
		return r.string(p, &s.Topic)
	case "offset":
		return r.integer(p, math.MaxInt64, &s.Offset)
	}
	var partition int64
	p = r.integer(p, math.MaxInt32, &partition)
	s.Partition = int32(partition)
	return p
}

// raw reads a text without making a string of it.
func (r *verdictReader) raw(p int) ([]byte, int) {
	if r.at(p) != '"' {
		return nil, r.fail(WrongType, p, "a text is expected")
	}
	end := r.text(p)
	if end < 0 {
		return nil, -1
	}
	text := r.data[p+1 : end-1]
	if r.escaped {
		r.scratch = unescape(r.scratch[:0], text)
		text = r.scratch
	}
	return text, end
}

func (r *verdictReader) string(p int, to *string) int {
	text, end := r.raw(p)
	*to = string(text)
	return end
}

// decision needs no new string for the decisions there are.
func (r *verdictReader) decision(p int) int {
	text, end := r.raw(p)
	for _, d := range [...]Decision{Approve, Review, Decline} {
		if string(text) == string(d) {
			r.verdict.Decision = d
			return end
		}
	}
	if end < 0 {
		return -1
	}
	return r.fail(WrongType, p, "a decision must be approve, review or decline")
}

func (r *verdictReader) findings(p int) int {
	if r.at(p) != '[' {
		return r.fail(WrongType, p, "a list of texts is expected")
	}
	if p = r.space(p + 1); r.at(p) == ']' {
		return p + 1
	}
	for {
		var finding string
		if p = r.string(p, &finding); p < 0 {
			return -1
		}
		r.verdict.Findings = append(r.verdict.Findings, finding)
		p = r.space(p)
		switch r.at(p) {
		case ',':
			p = r.space(p + 1)
			continue
		case ']':
			return p + 1
		}
		return r.unexpected(p, "a comma or the end of the list")
	}
}

func (r *verdictReader) time(p int) int {
	text, end := r.raw(p)
	if end < 0 {
		return -1
	}
	t, ok := parseRFC3339(text)
	if !ok || text[len(text)-1] != 'Z' {
		return r.fail(BadTime, p, "not a time in UTC as 2006-01-02T15:04:05Z")
	}
	r.verdict.EventTime = t.time()
	return end
}

// digits reads a number at p into num.
func (r *verdictReader) digits(p int) int {
	if c := r.at(p); c != '-' && c-'0' > 9 {
		return r.fail(WrongType, p, "a number is expected")
	}
	return r.number(p)
}

func (r *verdictReader) float(p int, to *float64) int {
	end := r.digits(p)
	if end < 0 {
		return -1
	}
	var ok bool
	if *to, ok = r.scanner.float(); !ok {
		return r.fail(NumberOverflow, p, "a number beyond float64")
	}
	return end
}

// integer reads a number of digits only, from 0 to most. Offsets go up to 2^63-1, beyond what number.integer tells apart.
func (r *verdictReader) integer(p int, most uint64, to *int64) int {
	end := r.digits(p)
	if end < 0 {
		return -1
	}
	n, err := strconv.ParseUint(string(r.data[r.num.at:r.num.end]), 10, 64) // also refuses a sign, a fraction and an exponent
	if err != nil || n > most {
		return r.fail(NotAnInteger, p, fmt.Sprintf("an integer from 0 to %d is expected", most))
	}
	*to = int64(n)
	return end
}
