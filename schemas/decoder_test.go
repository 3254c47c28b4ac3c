package schemas

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestDecodeFillsRowAndTransaction(t *testing.T) {
	got, err := decode(mustContract(t, simulatorContract).NewDecoder(), []byte(event))
	if err != nil {
		t.Fatal(err)
	}
	want := decoded{ID: "tx-000000000042", Key: "c-00017", Time: "2026-01-05T10:11:12.345Z", Amount: 12.5,
		Row: []float64{12.5, 812, 0, 1, 0, 0, 0, 3.2, 11, 0, 1, 3, 9, 55.1, 201, 31.2, 5321, 0.01, 0}}
	if diff := cmp.Diff(want, got, sameValues); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestFindingsComeInTheContractsOrder(t *testing.T) {
	data := strings.NewReplacer(`"distance_km":3.2`, `"distance_km":null`, `"age_days":812`, `"age_days":-3`, `"mcc":5411`, `"mcc":1`,
		`"channel":"pos",`, ``, `"avg_amount_30d":31.2,`, ``, `"currency":"EUR"`, `"currency":"XXX"`, `"card":{"present":true}`, `"card":null`).Replace(event)
	got, err := decode(mustContract(t, simulatorContract).NewDecoder(), []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	nan := math.NaN()
	want := decoded{ID: "tx-000000000042", Key: "c-00017", Time: "2026-01-05T10:11:12.345Z", Amount: 12.5,
		Row: []float64{12.5, -3, 3, nan, nan, 2, 0, nan, 11, 0, 1, 3, 9, 55.1, 201, -1, 5321, 0.01, 0},
		Findings: []string{"outside:age_days", "unknown:mcc", "missing:card_present", "unknown:currency", "missing:channel",
			"missing:distance_km", "missing:avg_amount_30d"}}
	if diff := cmp.Diff(want, got, sameValues); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestNothingOfOneEventReachesTheNext(t *testing.T) {
	d := mustContract(t, simulatorContract).NewDecoder()
	row, tx := make([]float64, 19), Transaction{}
	if err := d.Decode([]byte(event), row, &tx); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"amount":12.5,`, `"transaction_id":"tx-000000000042",`, `"id":"c-00017",`, `"count_1h":1,`} {
		if got := refusal(t, d, []byte(strings.Replace(event, part, "", 1))); got.Class != MissingField {
			t.Errorf("without %s: %v", part, got)
		}
	}
	if err := d.Decode([]byte(event), row, &tx); err != nil || len(tx.Findings) != 0 {
		t.Errorf("the whole event again: %v, findings %v", err, tx.Findings)
	}
}

// refusals are events by shortContract, what is wrong with each, and where.
var refusals = []struct {
	event string
	want  Class
	path  string
}{
	{"", Empty, ""},
	{" \n", Empty, ""},
	{"x", MalformedJSON, ""},
	{"\ufeff{}", MalformedJSON, ""},
	{"[]", WrongType, ""},
	{"null", WrongType, ""},
	{`{"a":1} {}`, TrailingData, ""},
	{`{"a":1,}`, MalformedJSON, ""},
	{`{"a" 1}`, MalformedJSON, ""},
	{`{"a":1`, MalformedJSON, ""},
	{`{"a":}`, MalformedJSON, "a"},
	{`{"a":01}`, MalformedJSON, "a"},
	{`{"a":+1}`, MalformedJSON, "a"},
	{`{"a":1.}`, MalformedJSON, "a"},
	{`{"a":.5}`, MalformedJSON, "a"},
	{`{"a":1e}`, MalformedJSON, "a"},
	{`{"a":0x10}`, MalformedJSON, ""},
	{`{"a":-}`, MalformedJSON, "a"},
	{`{"z":01}`, MalformedJSON, "z"},
	{`{"z":tru}`, MalformedJSON, "z"},
	{"{\"z\":\"a\tb\"}", MalformedJSON, "z"},
	{`{"z":"\x"}`, MalformedJSON, "z"},
	{`{"z":"\u12g4"}`, MalformedJSON, "z"},
	{`{"z":"abc`, MalformedJSON, "z"},
	{`{"z":[1 2]}`, MalformedJSON, "z"},
	{`{"z":[1,]}`, MalformedJSON, "z"},
	{`{"z":[{"y" 1}]}`, MalformedJSON, "z"},
	{`{"z":[{"y":x}]}`, MalformedJSON, "z.y"},
	{`{"a":NaN}`, NotANumber, "a"},
	{`{"a":-Infinity}`, NotANumber, "a"},
	{`{"z":{"y":nan}}`, NotANumber, "z.y"},
	{`{"a":Infinity}`, NotANumber, "a"},
	{`{"a":"NaN"}`, NotANumber, "a"},
	{`{"n":{"i":"-inf"}}`, NotANumber, "n.i"},
	{`{"a":"12.5"}`, WrongType, "a"},
	{`{"a":true}`, WrongType, "a"},
	{`{"a":[1]}`, WrongType, "a"},
	{`{"a":{}}`, WrongType, "a"},
	{`{"f":1}`, WrongType, "f"},
	{`{"f":"true"}`, WrongType, "f"},
	{`{"k":"x"}`, WrongType, "k"},
	{`{"k":[]}`, WrongType, "k"},
	{`{"c":1}`, WrongType, "c"},
	{`{"o":{"p.q":"1"}}`, WrongType, "o.p.q"},
	{`{"i":1.0}`, WrongType, "i"},
	{`{"i":true}`, WrongType, "i"},
	{`{"t":1767607872}`, WrongType, "t"},
	{`{"n":{"u":"2026-01-05T10:11:12Z"}}`, WrongType, "n.u"},
	{`{"a":1e400}`, NumberOverflow, "a"},
	{`{"n":{"i":9007199254740993}}`, NumberOverflow, "n.i"},
	{`{"n":{"i":-1e300}}`, NumberOverflow, "n.i"},
	{`{"n":{"i":0.5}}`, NotAnInteger, "n.i"},
	{`{"n":{"i":0.99999999999999999999999}}`, NotAnInteger, "n.i"},
	{`{"n":{"i":1e-400}}`, NotAnInteger, "n.i"},
	{`{"m":7.5}`, NotAnInteger, "m"},
	{`{"n":{"s":-1}}`, OutsideDomain, "n.s"},
	{`{"c":"y"}`, UnknownCategory, "c"},
	{`{"t":"2026-02-29T00:00:00Z"}`, BadTime, "t"},
	{`{"t":"2026-01-05T10:11:60Z"}`, BadTime, "t"},
	{`{"t":"2026-01-05 10:11:12Z"}`, BadTime, "t"},
	{`{"t":"2026-01-05T10:11:12.1234567891Z"}`, BadTime, "t"},
	{`{"t":"2026-01-05T10:11:12"}`, BadTime, "t"},
	{`{"t":"0001-01-01T00:00:00+00:01"}`, BadTime, "t"},
	{`{"t":"9999-12-31T23:59:59-00:01"}`, BadTime, "t"},
	{`{"t":""}`, BadTime, "t"},
	{`{"t":"2026-01-0xT10:11:12Z"}`, BadTime, "t"},
	{`{"t":"2026-01-05T10:11:12+24:00"}`, BadTime, "t"},
	{`{"t":"2026-01-05T10:11:12.Z"}`, BadTime, "t"},
	{`{"t":"1900-02-29T10:11:12Z"}`, BadTime, "t"},
	{`{"z":[{"y":1 "x":2}]}`, MalformedJSON, "z"},
	{`{"k":nul}`, MalformedJSON, "k"},
	{`{"n":{"u":253402300800}}`, BadTime, "n.u"},
	{`{"n":{"m":253402300800000}}`, BadTime, "n.m"},
	{`{"i":""}`, BadID, "i"},
	{`{"i":"` + strings.Repeat("x", MaxIDBytes+1) + `"}`, BadID, "i"},
	{`{"k":{"i":` + strings.Repeat("1", MaxIDBytes+1) + `}}`, BadID, "k.i"},
	{`{"z":1` + strings.Repeat("0", MaxNumberBytes) + `}`, NumberTooLong, "z"},
	{"{\"z\":\"\xff\"}", InvalidUTF8, "z"},
	{"{\"i\":\"\xc0\x80\"}", InvalidUTF8, "i"},
	{"{\"z\":\xff}", InvalidUTF8, "z"},
	{"{\"\xed\xa0\x80\":1}", InvalidUTF8, ""},
	{`{"z":"\ud800"}`, InvalidUTF8, "z"},
	{`{"z":"\ud800\u0041"}`, InvalidUTF8, "z"},
	{`{"z":"\udc00\ud800"}`, InvalidUTF8, "z"},
	{`{"z":"\udc00\udc00"}`, InvalidUTF8, "z"},
	{`{"a":1,"a":1}`, DuplicateKey, "a"},
	{`{"a":1,"\u0061":1}`, DuplicateKey, "a"},
	{`{"n":{"i":1,"i":null}}`, DuplicateKey, "n.i"},
	{`{"z":1,"y":2,"z":1}`, DuplicateKey, "z"},
	{`{"z":{"é":1,"\u00e9":1}}`, DuplicateKey, "z.é"},
	{`{"z":[{"x":1},{"x":1,"x":2}]}`, DuplicateKey, "z.x"},
	{`{"":1,"":1}`, DuplicateKey, ""},
	{`{"` + strings.Repeat("x", 100) + `":1,"` + strings.Repeat("x", 100) + `":1}`, DuplicateKey, strings.Repeat("x", 64)},
	{`{"z":` + strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth) + `}`, TooDeep, "z"},
	{`{"z":` + strings.Repeat(`{"z":`, MaxDepth) + "1" + strings.Repeat("}", MaxDepth) + `}`, TooDeep, strings.Repeat("z.", MaxDepth-1) + "z"},
	{`{}`, MissingField, "i"},
	{`{"i":1}`, MissingField, "k.i"},
	{`{"i":1,"k":null}`, MissingField, "k.i"},
	{`{"i":1,"k":{"i":1},"t":"2026-01-05T10:11:12Z","a":null}`, MissingField, "a"},
}

func TestEachFaultHasItsOwnClassAndPath(t *testing.T) {
	d := mustContract(t, shortContract).NewDecoder()
	seen := map[Class]bool{TooLarge: true, QualityRule: true} // by TestSizeAndDepthUpToTheLimitAreRead and the tests of quality rules
	for _, r := range refusals {
		got := refusal(t, d, []byte(r.event))
		if got.Class != r.want || got.Path != r.path {
			t.Errorf("%.80q: %s at %q (%v), want %s at %q", r.event, got.Class, got.Path, got.Detail, r.want, r.path)
		}
		seen[r.want] = true
	}
	for _, c := range Classes() {
		if !seen[c] {
			t.Errorf("no event here is refused as %s", c)
		}
	}
}

func TestAnErrorSaysWhereInTheEvent(t *testing.T) {
	d := mustContract(t, shortContract).NewDecoder()
	for _, c := range []struct {
		event  string
		offset int
	}{
		{`{"z": 1, "a": "x"}`, 14}, {`{"z": 1, "z": 2}`, 9}, {`{"z": "ab` + "\xff" + `"}`, 9}, {`{"z": 1} x`, 9}, {`{"z": [1, 2`, 11},
		{`{"i":1,"k":{"i":1},"t":"2026-01-05T10:11:12Z"}`, 46}, {`{"z": "\ud800"}`, 7},
	} {
		if got := refusal(t, d, []byte(c.event)); got.Offset != c.offset {
			t.Errorf("%s: %v, want byte %d", c.event, got, c.offset)
		}
	}
}

func TestSizeAndDepthUpToTheLimitAreRead(t *testing.T) {
	d := mustContract(t, shortContract).NewDecoder()
	pad := func(n int) []byte {
		return []byte(strings.TrimSuffix(shortEvent, "}") + `,"pad":"` + strings.Repeat("x", n-len(shortEvent)-len(`,"pad":""`)) + `"}`)
	}
	if _, err := decode(d, pad(MaxEventBytes)); err != nil {
		t.Error(err)
	}
	if got := refusal(t, d, pad(MaxEventBytes+1)); got.Class != TooLarge {
		t.Error(got)
	}
	deep := strings.Replace(shortEvent, `"z":`, `"z":`+strings.Repeat("[", MaxDepth-3)+strings.Repeat("]", MaxDepth-3)+`,"y":`, 1)
	if _, err := decode(d, []byte(deep)); err != nil {
		t.Error(err)
	}
	long := strings.Replace(shortEvent, `12.5`, `0.`+strings.Repeat("1", MaxNumberBytes-2), 1)
	if _, err := decode(d, []byte(long)); err != nil {
		t.Error(err)
	}
}

func TestAnEventOfManyNamesIsReadInLinearTime(t *testing.T) {
	d := mustContract(t, shortContract).NewDecoder()
	var b strings.Builder
	b.WriteString(strings.TrimSuffix(shortEvent, "}"))
	for i := 0; b.Len() < MaxEventBytes-100; i++ {
		fmt.Fprintf(&b, `,"%d":0`, i)
	}
	many := b.String() + "}"
	for range 3 {
		if _, err := decode(d, []byte(many)); err != nil {
			t.Fatal(err)
		}
	}
	if got := refusal(t, d, []byte(b.String()+`,"70000":0}`)); got.Class != DuplicateKey || got.Path != "70000" {
		t.Error(got)
	}
	if d.learned > maxLearned {
		t.Errorf("learned %d names, more than %d", d.learned, maxLearned)
	}
	if d.nodes > 100 {
		t.Errorf("%d nodes", d.nodes)
	}
	if _, err := decode(d, []byte(shortEvent)); err != nil || len(d.names.slots) > keepNames {
		t.Errorf("afterwards: %v, %d slots kept", err, len(d.names.slots))
	}
}

func TestMarksAreClearedWhenTheEventCounterWraps(t *testing.T) {
	d := mustContract(t, shortContract).NewDecoder()
	if _, err := decode(d, []byte(shortEvent)); err != nil { // leaves the mark 1
		t.Fatal(err)
	}
	d.event = math.MaxUint32
	if _, err := decode(d, []byte(shortEvent)); err != nil {
		t.Errorf("event 2^32: %v", err)
	}
}

func TestARowOfTheWrongLengthIsNoDeadLetter(t *testing.T) {
	err := mustContract(t, shortContract).NewDecoder().Decode([]byte(shortEvent), make([]float64, 3), &Transaction{})
	if _, refused := err.(*Error); err == nil || refused {
		t.Errorf("got %v", err)
	}
}

func TestNumbersRoundAsStrconvDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(
			rapid.StringMatching(`-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?`),
			rapid.Map(rapid.Float64(), func(f float64) string { return string(appendFloat(nil, f)) }),
			rapid.Map(rapid.Int64(), func(n int64) string { return fmt.Sprint(n) }),
		).Draw(t, "number")
		s := scanner{data: []byte(text)}
		if end := s.number(0); end != len(text) {
			t.Fatalf("%s: read up to %d, %v", text, end, s.err)
		}
		got, ok := s.float()
		want, fits := referenceNumber(json.Number(text))
		if ok != fits || ok && math.Float64bits(got) != math.Float64bits(want) {
			t.Fatalf("%s: %v %v, want %v %v", text, got, ok, want, fits)
		}
		n, class := s.integer()
		whole, is := referenceInteger(json.Number(text))
		if (class == "") != is || is && n != whole {
			t.Fatalf("%s: %v %v, want %v %v", text, n, class, whole, is)
		}
	})
}

func TestManyDigitsAreNotCutToTheMantissa(t *testing.T) {
	for _, text := range []string{"18446744073709551617", "18446744073709551617e-1", "1.00000000000000000000", "100000000000000000000e-20",
		"9007199254740992.0000000000", "9007199254740992.00000000001", "0.00000000000000000000000e5", "-0.000", "1e-99999999999", "0e99999999999",
		"1e99999999999", "100000000000000000000000000000e-29", "100000000000000000000000000001e-29", "-9007199254740992", "9e22", "9e23",
		"123456789012345.6e8", "9007199254740993", "9007199254740993e-22"} {
		s := scanner{data: []byte(text)}
		s.number(0)
		got, ok := s.float()
		want, fits := referenceNumber(json.Number(text))
		if ok != fits || ok && math.Float64bits(got) != math.Float64bits(want) {
			t.Errorf("%s: %v %v, want %v %v", text, got, ok, want, fits)
		}
		n, class := s.integer()
		if whole, is := referenceInteger(json.Number(text)); (class == "") != is || is && n != whole {
			t.Errorf("%s as an integer: %v %q, want %v %v", text, n, class, whole, is)
		}
	}
}

func TestOneNameInSeveralObjectsIsNoDuplicate(t *testing.T) {
	d := mustContract(t, shortContract).NewDecoder()
	for range 2 {
		got, err := decode(d, []byte(strings.Replace(shortEvent, `"z":`, `"y":[{"a":1,"z":{"a":1}},{"a":[{"a":1}],"z":2}],"x":{"a":1,"z":1},"z":`, 1)))
		if err != nil || got.ID != "x" || got.Amount != 12.5 {
			t.Errorf("%v, %v", got, err)
		}
	}
}

func TestClocksChangeToTheSecond(t *testing.T) {
	d := mustContract(t, contractHead+"  - {name: hour, path: event_time, type: time, format: rfc3339, part: hour, zone: Europe/Berlin}\n"+
		"  - {name: minute, path: opened, type: time, format: rfc3339, part: minute}\n"+
		"  - {name: closed, path: closed, type: time, format: unix_s, part: hour}\n"+
		"  - {name: again, path: again, type: time, format: unix_s, part: hour}\n"+
		"  - {name: before, path: before, type: time, format: unix_ms, part: hour}\n").NewDecoder()
	for _, c := range []struct {
		at   string
		hour float64
	}{
		{"2026-03-29T00:59:59Z", 1}, {"2026-03-29T01:00:00Z", 3}, {"2026-03-29T00:59:59Z", 1}, {"2026-10-25T00:59:59Z", 2},
		{"2026-10-25T01:00:00Z", 2}, {"2026-10-25T02:00:00Z", 3},
	} {
		data := strings.Replace(event, `"event_time":"2026-01-05T10:11:12.345Z"`,
			`"event_time":"`+c.at+`","opened":"2020-01-01T00:42:00Z","closed":7200,"again":-1,"before":-1`, 1)
		got, err := decode(d, []byte(data))
		if err != nil || !cmp.Equal(got.Row, []float64{c.hour, 42, 2, 23, 23}) {
			t.Errorf("%s: %v, %v; want hour %v", c.at, got, err, c.hour)
		}
	}
}

func TestManyObjectsWithTheSameNamesAreRead(t *testing.T) {
	d := mustContract(t, shortContract).NewDecoder()
	many := strings.Repeat(`{"a":1,"b":2,"c":3},`, 3000)
	if _, err := decode(d, []byte(strings.Replace(shortEvent, `"z":[`, `"z":[`+many, 1))); err != nil {
		t.Error(err)
	}
	if got := refusal(t, d, []byte(strings.Replace(shortEvent, `"z":[`, `"z":[`+many+`{"a":1,"a":2},`, 1))); got.Class != DuplicateKey {
		t.Error(got)
	}
}

func TestEveryTimeFormatGivesTheTransactionsTime(t *testing.T) {
	for _, c := range [][3]string{
		{"rfc3339", `"2024-02-29T23:59:59.000000001-01:30"`, "2024-03-01T01:29:59.000000001Z"},
		{"rfc3339", `"2000-02-29T00:00:00Z"`, "2000-02-29T00:00:00Z"},
		{"rfc3339", `"0001-01-01T00:00:00Z"`, "0001-01-01T00:00:00Z"},
		{"rfc3339", `"9999-12-31T23:59:59.999999999Z"`, "9999-12-31T23:59:59.999999999Z"},
		{"unix_s", "1767607872", "2026-01-05T10:11:12Z"},
		{"unix_s", "-1", "1969-12-31T23:59:59Z"},
		{"unix_ms", "1767607872345", "2026-01-05T10:11:12.345Z"},
		{"unix_ms", "-1", "1969-12-31T23:59:59.999Z"},
	} {
		d := mustContract(t, strings.Replace(contractHead, "rfc3339", c[0], 1)+one).NewDecoder()
		data := strings.Replace(event, `"event_time":"2026-01-05T10:11:12.345Z"`, `"x":1,"event_time":`+c[1], 1)
		if got, err := decode(d, []byte(data)); err != nil || got.Time != c[2] {
			t.Errorf("%s %s: %v, %v; want %s", c[0], c[1], got.Time, err, c[2])
		}
	}
}

func TestNamesThatNeedEscapesAreFoundOnlyEscaped(t *testing.T) {
	d := mustContract(t, contractHead+"  - {name: x, path: ['q\"r\\'], type: number}\n").NewDecoder()
	good := strings.Replace(event, `"amount"`, `"q\"r\\":7,"amount"`, 1)
	for range 2 {
		if got, err := decode(d, []byte(good)); err != nil || got.Row[0] != 7 {
			t.Fatalf("%v, %v", got, err)
		}
	}
	if got := refusal(t, d, []byte(strings.Replace(good, `q\"r\\`, `q"r\`, 1))); got.Class != MalformedJSON {
		t.Error(got)
	}
}

func TestAnErrorReadsAsOneLineWithoutBytesOfTheEvent(t *testing.T) {
	d := mustContract(t, shortContract).NewDecoder()
	for event, want := range map[string]string{
		`{"a":"secret"}`: "event refused at byte 5: wrong_type: a: the contract expects a number",
		`"secret"`:       "event refused at byte 0: wrong_type: an event must be an object",
	} {
		if err := refusal(t, d, []byte(event)); err.Error() != want {
			t.Errorf("%s: %s, want %s", event, err.Error(), want)
		}
	}
	name := strings.Repeat("x", 63) + "é" // cut at a whole character
	if got := refusal(t, d, []byte(`{"`+name+`":1,"`+name+`":1}`)); got.Path != name[:63] {
		t.Errorf("path %q", got.Path)
	}
}

func TestTimesAndTheirPartsAreThoseOfTheTimePackage(t *testing.T) {
	locations := []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Monrovia"}
	zones := map[string]*zone{}
	for _, name := range locations {
		l, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		zones[name] = &zone{location: l}
	}
	rapid.Check(t, func(t *rapid.T) {
		east := rapid.IntRange(-23*60-59, 23*60+59).Draw(t, "minutes east")
		at := time.Unix(rapid.Int64Range(minUnix, maxUnix).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds")).
			In(time.FixedZone("", east*60))
		if rapid.Bool().Draw(t, "recent") {
			at = at.AddDate(2000+at.Year()%30-at.Year(), 0, 0)
		}
		text := at.Format(time.RFC3339Nano)
		got, ok := parseRFC3339([]byte(text))
		want, fits := referenceTime(text, rfc3339)
		if ok != fits || ok && !got.time().Equal(want) {
			t.Fatalf("%s: %v %v, want %v %v", text, got.time(), ok, want, fits)
		}
		name := rapid.SampledFrom(locations).Draw(t, "zone")
		for _, part := range timeParts {
			f := &feature{kind: kindTime, format: rfc3339, part: part, location: zones[name].location}
			if want, _, ok := referenceFeature(f, text); ok && zones[name].part(got, part) != want {
				t.Fatalf("part %d of %s in %s: %v, want %v", part, text, name, zones[name].part(got, part), want)
			}
		}
	})
}
