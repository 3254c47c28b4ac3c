package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// shortContract has every type, policy and format on short names, so that a fuzzer reaches them.
const shortContract = `
version: 1
event:
  transaction_id: i
  key: k.i
  event_time: {path: t, format: rfc3339}
  amount: a
features:
  - {name: number, path: a, type: number}
  - {name: bounded, path: b, type: number, domain: {min: -1, max: 100.5}, outside: flag, missing: {default: -1}}
  - {name: integer, path: n.i, type: integer, missing: nan}
  - {name: small, path: n.s, type: integer, domain: {min: 0}, missing: nan}
  - {name: boolean, path: f, type: boolean, missing: {default: 0.5}}
  - {name: hour, path: t, type: time, format: rfc3339, part: hour, zone: America/New_York}
  - {name: week, path: t, type: time, format: rfc3339, part: hour_of_week, zone: Asia/Kolkata}
  - {name: yearday, path: t, type: time, format: rfc3339, part: yearday}
  - {name: minute, path: n.u, type: time, format: unix_s, part: minute, zone: Asia/Kathmandu, missing: nan}
  - {name: month, path: n.m, type: time, format: unix_ms, part: month, zone: Europe/Berlin, missing: nan}
  - {name: day, path: n.m, type: time, format: unix_ms, part: day, zone: Europe/Berlin, missing: nan}
  - {name: strict, path: c, type: category, codes: {x: 0, "é\"\\": 1}, missing: nan}
  - {name: mixed, path: m, type: category, codes: {x: 0, 7: 1, "7": 2}, unknown: {code: 9}, missing: {default: 8}}
  - {name: dotted, path: [o, "p.q"], type: category, codes: {1: 1}, unknown: nan, missing: nan}
`

const shortEvent = `{"i":"x","k":{"i":1},"t":"2026-01-05T10:11:12.345Z","a":12.5,"b":-1e0,"n":{"i":9007199254740992,"s":0.50e1,"u":1767607872,` +
	`"m":1767607872345},"f":true,"c":"\u00e9\"\\","m":7,"o":{"p.q":1},"z":[{"a":null,"b":[]},-0.0,"😀"]}`

// sameValues compares floats by their bits, apart from the payload of NaN.
var sameValues = cmp.Options{
	cmpopts.EquateEmpty(),
	cmp.Comparer(func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) || a != a && b != b }),
}

// agree fails unless Decode reads data as the reference does, or both refuse it.
func agree(t interface{ Fatalf(string, ...any) }, c *Contract, d *Decoder, data []byte) {
	before := bytes.Clone(data)
	got, err := decode(d, data)
	want, ok := referenceDecode(c, data)
	switch {
	case err == nil && !ok:
		t.Fatalf("Decode accepts %q, the reference does not", data)
	case err != nil && ok:
		t.Fatalf("Decode refuses %q, the reference does not: %v", data, err)
	case err == nil && !cmp.Equal(got, want, sameValues):
		t.Fatalf("Decode(%q), -reference +got:\n%s", data, cmp.Diff(want, got, sameValues))
	}
	var refused *Error
	if err != nil && (!errors.As(err, &refused) || !slices.Contains(Classes(), refused.Class) || refused.Offset < 0 ||
		refused.Offset > len(data) || refused.Detail == "" || len(refused.Path) > MaxDepth*(MaxNameBytes+1)) {
		t.Fatalf("Decode(%q) gives a bad error: %#v", data, err)
	}
	if !bytes.Equal(before, data) {
		t.Fatalf("Decode changed the event %q", before)
	}
	// What a decoder has read before does not matter.
	fresh, freshErr := decode(c.NewDecoder(), data)
	if !cmp.Equal(got, fresh, sameValues) || !cmp.Equal(err, freshErr) {
		t.Fatalf("a decoder that has read other events reads %q as %v, %v; a fresh one as %v, %v", data, got, err, fresh, freshErr)
	}
}

func FuzzDecodeReadsWhatEncodingJSONReads(f *testing.F) {
	c := mustContract(f, shortContract)
	d := c.NewDecoder()
	f.Add([]byte(shortEvent))
	f.Add([]byte(event))
	for _, r := range refusals {
		f.Add([]byte(strings.ReplaceAll(r.event, "\n", "")))
	}
	for _, from := range []string{`"a":12.5`, `"i":"x"`, `7`, `null`, `"2026-01-05T10:11:12.345Z"`} {
		for _, to := range []string{`"a":1e400`, `"\ud83d\ude00"`, `"\ud83d"`, `"a":1,"a":1`, `"9999-12-31T23:59:59.9999999-00:01"`,
			`123456789012345678901234567890e-20`, `-0`, `00`, `"\u0061":1`, `{"x":[{}]}`, `9007199254740993`, `"0001-01-01T00:00:00Z"`} {
			f.Add([]byte(strings.Replace(shortEvent, from, to, 1)))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) { agree(t, c, d, data) })
}

// TestAnyDocumentIsReadAsEncodingJSONReadsIt makes documents that are nearly events, which a byte fuzzer seldom does.
func TestAnyDocumentIsReadAsEncodingJSONReadsIt(t *testing.T) {
	c := mustContract(t, shortContract)
	d := c.NewDecoder()
	accepted := 0
	rapid.Check(t, func(t *rapid.T) {
		data := drawEvent(t)
		agree(t, c, d, data)
		if _, ok := referenceDecode(c, data); ok {
			accepted++
		}
	})
	if accepted < 3 { // of 20 when short, 100 else
		t.Errorf("only %d of the documents were events; the test says little", accepted)
	}
}

// drawEvent returns an event in which a few values are replaced and a few fields added or repeated, with odd spelling.
func drawEvent(t *rapid.T) []byte {
	space := rapid.SampledFrom([]string{"", "", "", " ", "\n\t", "\r"})
	number := rapid.OneOf(rapid.StringMatching(`-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,24})?([eE][+-]?[0-9]{1,3})?`),
		rapid.StringMatching(`-?[0-9]{1,3}`), rapid.SampledFrom([]string{"-0", "-0.0", "1e308", "1.8e308", "9007199254740993", "1767607872000"}))
	text := rapid.OneOf(rapid.Just(`"x"`), rapid.StringMatching(`"([a-z]|\\u00[0-7][0-9a-f]|\\ud83d\\ude0[0-9]|\\n|\\/|é|\\ud8[0-9a-f]{2}){0,6}"`),
		rapid.StringMatching(`"(19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]T[012][0-9]:[0-5][0-9]:[0-5][0-9](\.[0-9]{1,10})?(Z|[+-][012][0-9]:[0-5][0-9])"`))
	var value func(depth int) *rapid.Generator[string]
	name := rapid.OneOf(rapid.SampledFrom([]string{"a", "b", "c", "f", "m", `\u0061`, "p.q", "i", "z", "y"}), rapid.StringMatching(`[a-z]{1,3}`))
	value = func(depth int) *rapid.Generator[string] {
		return rapid.Custom(func(t *rapid.T) string {
			switch rapid.IntRange(0, 7).Draw(t, "kind") {
			case 0, 1:
				return number.Draw(t, "number")
			case 2:
				return text.Draw(t, "text")
			case 3:
				return rapid.SampledFrom([]string{"true", "false"}).Draw(t, "boolean")
			case 4:
				if depth < 3 {
					return "[" + strings.Join(rapid.SliceOfN(value(depth+1), 0, 3).Draw(t, "array"), ",") + "]"
				}
			case 5, 6:
				if depth < 3 {
					var fields []string
					for range rapid.IntRange(0, 4).Draw(t, "fields") {
						fields = append(fields, `"`+name.Draw(t, "name")+`"`+space.Draw(t, "space")+":"+value(depth+1).Draw(t, "value"))
					}
					return "{" + strings.Join(fields, ",") + "}"
				}
			}
			return "null"
		})
	}
	fields := map[string]string{"i": `"x"`, "k": `{"i":1}`, "t": `"2026-01-05T10:11:12.345Z"`, "a": "12.5", "n": `{"i":1,"s":2}`}
	order := []string{"i", "k", "t", "a", "n"}
	typed := map[string]*rapid.Generator[string]{"i": text, "t": text, "a": number, "b": number, "c": text, "m": rapid.OneOf(number, text)}
	for range rapid.IntRange(0, 4).Draw(t, "changes") {
		f := name.Draw(t, "field")
		if _, there := fields[f]; !there {
			order = append(order, f)
		}
		if g := typed[f]; g != nil && rapid.Bool().Draw(t, "typed") {
			fields[f] = g.Draw(t, f)
		} else {
			fields[f] = value(0).Draw(t, f)
		}
	}
	order = rapid.Permutation(order).Draw(t, "order")
	var b strings.Builder
	b.WriteString(space.Draw(t, "space") + "{")
	for i, f := range order {
		if i > 0 {
			b.WriteString(space.Draw(t, "space") + "," + space.Draw(t, "space"))
		}
		b.WriteString(`"` + f + `"` + space.Draw(t, "space") + ":" + space.Draw(t, "space") + fields[f])
	}
	b.WriteString("}" + space.Draw(t, "space"))
	data := []byte(b.String())
	if rapid.IntRange(0, 9).Draw(t, "cut") == 0 {
		data = data[:rapid.IntRange(0, len(data)).Draw(t, "length")]
	}
	return data
}

func FuzzParseVerdictWritesBackWhatItReads(f *testing.F) {
	v := sampleVerdict()
	data, err := v.Append(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := ParseVerdict(data)
		if err != nil {
			return
		}
		var std Verdict
		if err := json.Unmarshal(data, &std); err != nil {
			t.Fatalf("ParseVerdict accepts %q, encoding/json does not: %v", data, err)
		}
		if diff := cmp.Diff(std, v, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("ParseVerdict(%q), -encoding/json +got:\n%s", data, diff)
		}
		written, err := v.Append(nil)
		if err != nil {
			t.Fatalf("Append refuses what ParseVerdict read from %q: %v", data, err)
		}
		again, err := ParseVerdict(written)
		if err != nil || !cmp.Equal(again, v) {
			t.Fatalf("%q read back as %v, %v", written, again, err)
		}
	})
}

func FuzzParseContractNeverPanics(f *testing.F) {
	f.Add([]byte(shortContract))
	f.Add([]byte(simulatorContract))
	for _, r := range badContracts {
		if len(r.yaml) < 1000 {
			f.Add([]byte(r.yaml))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseContract(data)
		if (c == nil) == (err == nil) {
			t.Fatalf("ParseContract(%q) = %v, %v", data, c, err)
		}
		if err == nil {
			agree(t, c, c.NewDecoder(), []byte(event))
			agree(t, c, c.NewDecoder(), []byte(shortEvent))
		}
	})
}
