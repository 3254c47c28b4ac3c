package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const digest = "sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"

func sampleVerdict() Verdict {
	return Verdict{
		TransactionID: ID("tx-000000000042"), Decision: Approve, Probability: 0.0123, Margin: -4.38,
		Bundle: BundleID{Name: "sample", Version: "1", Digest: digest}, Findings: []string{"missing:distance_km"},
		EventTime: time.Date(2026, 1, 5, 10, 11, 12, 345e6, time.UTC), Source: Source{Topic: "transactions", Partition: 3, Offset: 1234},
	}
}

// sampleLine is sampleVerdict as docs/design.md shows it.
const sampleLine = `{"transaction_id":"tx-000000000042","decision":"approve","probability":0.0123,"margin":-4.38,` +
	`"bundle":{"name":"sample","version":"1","digest":"` + digest + `"},"findings":["missing:distance_km"],` +
	`"event_time":"2026-01-05T10:11:12.345Z","source":{"topic":"transactions","partition":3,"offset":1234}}`

func TestVerdictIsTheDocumentedLine(t *testing.T) {
	v := sampleVerdict()
	got, err := v.Append([]byte("before "))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("before "+sampleLine, string(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// drawVerdict returns any verdict that can be written.
func drawVerdict(t *rapid.T) Verdict {
	float := rapid.OneOf(rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64), rapid.Float64Range(0, 1),
		rapid.SampledFrom([]float64{math.Copysign(0, -1), 5e-324, 1e21, 999999999999999868928, 1e-6, 9.99e-7, 1e-10, 1e-100, math.MaxFloat64}))
	text := rapid.Map(rapid.OneOf(rapid.StringN(1, 20, 80), rapid.SampledFrom([]string{"\u2028", "\u2029x", "\x00\b\f\x1f\x7f", `"\/`, "<&>", "☃😀"})),
		func(s string) string { return strings.ToValidUTF8(s, "?") })
	v := Verdict{
		TransactionID: ID(text.Draw(t, "id")), Decision: rapid.SampledFrom([]Decision{Approve, Review, Decline}).Draw(t, "decision"),
		Probability: float.Draw(t, "probability"), Margin: float.Draw(t, "margin"),
		Bundle:    BundleID{text.Draw(t, "name"), text.Draw(t, "version"), "sha256:" + rapid.StringMatching("[0-9a-f]{64}").Draw(t, "digest")},
		Findings:  rapid.SliceOfN(rapid.OneOf(text, rapid.Just("")), 0, 5).Draw(t, "findings"),
		EventTime: time.Unix(rapid.Int64Range(minUnix, maxUnix).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC(),
		Source: Source{text.Draw(t, "topic"), rapid.Int32Range(0, math.MaxInt32).Draw(t, "partition"),
			rapid.Int64Range(0, math.MaxInt64).Draw(t, "offset")},
	}
	return v
}

func TestVerdictIsWrittenAsEncodingJSONWritesItAndReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawVerdict(t)
		got, err := v.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		e := json.NewEncoder(&want)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.TrimSuffix(want.String(), "\n"), string(got)); diff != "" {
			t.Fatalf("-encoding/json +Append:\n%s", diff)
		}
		back, err := ParseVerdict(got)
		if diff := cmp.Diff(v, back, sameValues); err != nil || diff != "" {
			t.Fatalf("%v, -written +read:\n%s", err, diff)
		}
		if again, err := back.Append(nil); err != nil || !bytes.Equal(again, got) {
			t.Fatalf("read and written again: %s, %v; first %s", again, err, got)
		}
	})
}

func TestVerdictInAnotherZoneIsWrittenInUTC(t *testing.T) {
	v := sampleVerdict()
	v.EventTime = v.EventTime.In(time.FixedZone("", 5*3600+1800))
	if got, err := v.Append(nil); err != nil || string(got) != sampleLine {
		t.Errorf("%s, %v", got, err)
	}
}

// badVerdicts are changes after which a verdict must not be written, and what the error must name.
var badVerdicts = []struct {
	change func(*Verdict)
	want   string
}{
	{func(v *Verdict) { v.TransactionID = nil }, "transaction_id"},
	{func(v *Verdict) { v.TransactionID = bytes.Repeat([]byte("x"), MaxIDBytes+1) }, "transaction_id"},
	{func(v *Verdict) { v.TransactionID = ID("\xff") }, "UTF-8"},
	{func(v *Verdict) { v.Decision = "" }, "decision"},
	{func(v *Verdict) { v.Decision = "Approve" }, "decision"},
	{func(v *Verdict) { v.Probability = math.NaN() }, "probability"},
	{func(v *Verdict) { v.Probability = math.Inf(1) }, "probability"},
	{func(v *Verdict) { v.Margin = math.Inf(-1) }, "margin"},
	{func(v *Verdict) { v.Bundle.Name = "" }, "bundle.name"},
	{func(v *Verdict) { v.Bundle.Version = "" }, "bundle.version"},
	{func(v *Verdict) { v.Bundle.Digest = "sha256:" + strings.Repeat("A", 64) }, "digest"},
	{func(v *Verdict) { v.Bundle.Digest = "sha256:" + strings.Repeat("g", 64) }, "digest"},
	{func(v *Verdict) { v.Bundle.Digest = strings.Repeat("a", 71) }, "digest"},
	{func(v *Verdict) { v.Bundle.Digest = "sha256:aa" }, "digest"},
	{func(v *Verdict) { v.Findings = []string{"a", "\xc3"} }, "UTF-8"},
	{func(v *Verdict) { v.EventTime = time.Unix(maxUnix+1, 0) }, "event_time"},
	{func(v *Verdict) { v.EventTime = time.Unix(minUnix-1, 0) }, "event_time"},
	{func(v *Verdict) { v.Source.Topic = "" }, "source"},
	{func(v *Verdict) { v.Source.Partition = -1 }, "source"},
	{func(v *Verdict) { v.Source.Offset = -1 }, "source"},
	{func(v *Verdict) { v.Findings = []string{strings.Repeat("x", MaxVerdictBytes)} }, "bytes are more than"},
}

func TestABadVerdictIsNotWritten(t *testing.T) {
	for i, c := range badVerdicts {
		v := sampleVerdict()
		c.change(&v)
		got, err := v.Append([]byte("before"))
		if err == nil || !strings.Contains(err.Error(), c.want) || string(got) != "before" {
			t.Errorf("%d, %s: %.100s, %v", i, c.want, got, err)
		}
	}
}

// badLines are replacements in sampleLine after which it is no verdict, and what the error must say.
var badLines = []struct{ from, to, want string }{
	{sampleLine, "", "byte 0"},
	{sampleLine, "{}", "a field"},
	{sampleLine, "[]", "an object"},
	{sampleLine, sampleLine + "x", "trailing_data"},
	{sampleLine, sampleLine[:len(sampleLine)-1], "ends where"},
	{`"margin":-4.38,`, ``, "missing_field"},
	{`"version":"1",`, ``, "missing_field"},
	{`"partition":3,`, ``, "missing_field"},
	{`"margin":-4.38,`, `"margin":-4.38,"margin":-4.38,`, "margin comes twice"},
	{`"offset":1234`, `"offset":1234,"o\u0066fset":1234`, "offset comes twice"},
	{`"margin":`, `"more":1,"margin":`, "unknown field"},
	{`"margin":`, `"Margin":`, "unknown field"},
	{`"name":"sample"`, `"name":"sample","more":1`, "unknown field"},
	{`"approve"`, `"Approve"`, "decision must be"},
	{`"approve"`, `1`, "a text is expected"},
	{`-4.38`, `"-4.38"`, "a number is expected"},
	{`-4.38`, `NaN`, "a number is expected"},
	{`-4.38`, `-Infinity`, "not_a_number"},
	{`-4.38`, `null`, "a number is expected"},
	{`-4.38`, `1e999`, "number_overflow"},
	{`0.0123`, `00.0123`, "leading zero"},
	{`["missing:distance_km"]`, `null`, "a list of texts"},
	{`["missing:distance_km"]`, `[1]`, "a text is expected"},
	{`["missing:distance_km"]`, `["a",]`, "a text is expected"},
	{`["missing:distance_km"]`, `["a" "b"]`, "a comma"},
	{`12.345Z`, `12.345`, "bad_time"},
	{`12.345Z`, `12.345+00:00`, "bad_time"},
	{`"2026-01-05T10:11:12.345Z"`, `""`, "bad_time"},
	{`"partition":3`, `"partition":-3`, "0 to 2147483647"},
	{`"partition":3`, `"partition":2147483648`, "0 to 2147483647"},
	{`"partition":3`, `"partition":3.0`, "0 to 2147483647"},
	{`"offset":1234`, `"offset":9223372036854775808`, "0 to 9223372036854775807"},
	{digest, digest[:70], "bundle.digest"},
	{digest, strings.ToUpper(digest), "bundle.digest"},
	{`"name":"sample"`, `"name":""`, "bundle.name"},
	{`tx-000000000042`, ``, "transaction_id"},
	{`tx-000000000042`, "\xff", "invalid_utf8"},
	{`tx-000000000042`, `\ud800`, "invalid_utf8"},
	{`,"offset"`, `"offset"`, "a comma"},
}

func TestALineThatIsNoVerdictIsRefused(t *testing.T) {
	for _, c := range badLines {
		line := strings.Replace(sampleLine, c.from, c.to, 1)
		if v, err := ParseVerdict([]byte(line)); err == nil || !strings.Contains(err.Error(), c.want) || v.TransactionID != nil {
			t.Errorf("%.300s\ngives %v\nwant %s", line, err, c.want)
		}
	}
	if _, err := ParseVerdict(bytes.Repeat([]byte(" "), MaxVerdictBytes+1)); err == nil {
		t.Error("a verdict above the limit is read")
	}
}

func TestVerdictFieldsMayComeInAnyOrderAndSpacing(t *testing.T) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(sampleLine), &fields); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for name, value := range fields { // in any order
		fmt.Fprintf(&b, ",\n\t%q : %s", name, value)
	}
	got, err := ParseVerdict([]byte(" {" + b.String()[1:] + " } \r\n"))
	if diff := cmp.Diff(sampleVerdict(), got); err != nil || diff != "" {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
}
