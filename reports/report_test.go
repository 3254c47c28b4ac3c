package reports

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/schemas"
)

const contract = `version: 1
event: {transaction_id: id, key: customer, event_time: {path: time, format: unix_ms}, amount: amount}
features:
  - {name: amount, path: amount, type: number, domain: {min: 0}, outside: flag}
  - {name: "<script>alert(1)</script>", path: shop, type: category, codes: {a: 0, "<b>&\"'": 1}, unknown: nan}
quality:
  - {name: busy, rule: volume, min: 1, max: 2}
  - {name: usual, rule: range, feature: amount, max: 10, limit: 0.5}
`

// made is a report of 20,000 transactions against 20,000, with amounts doubled in the second.
func made(t *testing.T) *Report {
	t.Helper()
	c, err := schemas.ParseContract([]byte(contract))
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	sample := drift.NewSample([]drift.Column{{Name: "amount"}, {Name: c.FeatureNames()[1], Category: true, Labels: c.CategoryLabels(1)}})
	draw := func(factor float64) []float64 {
		return []float64{factor * math.Exp(rng.NormFloat64()), float64(rng.IntN(2))}
	}
	for i := range 20_000 {
		if err := sample.Add(draw(1), rng.Float64(), 0, fmt.Sprint(i), time.UnixMilli(int64(i)*1000)); err != nil {
			t.Fatal(err)
		}
	}
	p, err := sample.Profile(func(int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	line := drift.NewTimeline(p, time.Hour, time.Minute)
	rules := c.Rules()
	quality := drift.NewQuality(rules).NewCounts()
	for i := range 20_000 {
		at := 1e12 + int64(i)*1000
		line.Add(drift.Scored{Rows: draw(2), Width: 2, Probabilities: []float64{rng.Float64()}, Decisions: []float64{0}, Times: []int64{at}, Timestamps: []int64{at}})
		var broken []int
		if i%10 == 0 {
			broken = []int{len(rules) - 1, 2}
		}
		quality.AddScored(broken)
	}
	return New(Source{Bundle: schemas.BundleID{Name: "b<i>", Version: "1", Digest: "sha256:00"}, What: "topic t"}, p, line, rules, quality)
}

func TestTheWorstFeatureComesFirst(t *testing.T) {
	r := made(t)
	if f := r.Features[0]; f.Name != "amount" || f.Level != drift.Severe && f.Level != drift.Warn || r.Verdict != f.Level {
		t.Errorf("first is %+v, the verdict %s", f, r.Verdict)
	}
	for _, f := range r.Features[1:] {
		if f.Level != drift.Stable {
			t.Errorf("%s is %s, PSI %v", f.Name, f.Level, f.PSI)
		}
	}
	if len(r.Timeline) != 7 || r.Timeline[3].Transactions != 3600 {
		t.Errorf("%d stretches", len(r.Timeline))
	}
	holds := map[string]bool{}
	for _, q := range r.Quality {
		holds[q.Name] = q.Holds
	}
	// 10 % break the domain, whose limit is 1 %, and the usual range, whose limit is 50 %; one transaction a second is not below 1.
	if holds["range:amount"] || !holds["usual"] || !holds["busy"] || !holds["type"] {
		t.Errorf("rules %v", holds)
	}
}

func TestJSONHasNoFigureWhereThereIsNone(t *testing.T) {
	text, err := json.Marshal(made(t))
	if err != nil {
		t.Fatal(err)
	}
	var back struct {
		Features []struct {
			Feature string   `json:"feature"`
			PSI     *float64 `json:"psi"`
			KS      *float64 `json:"kolmogorov_smirnov_binned"`
		} `json:"features"`
	}
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	for _, f := range back.Features {
		if f.PSI == nil || (f.KS != nil) != (f.Feature == "amount" || f.Feature == drift.Probability) {
			t.Errorf("%s: PSI %v, KS %v", f.Feature, f.PSI, f.KS)
		}
	}
}

func TestThePageIsWholeAndNothingInItIsMarkup(t *testing.T) {
	var b bytes.Buffer
	if err := made(t).HTML(&b); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, bad := range []string{"<script", "b<i>", "http://", "https://", "<b>", "NaN", "ZgotmplZ", "%!"} {
		if strings.Contains(page, bad) && !(bad == "<b>" && strings.Count(page, "<b>") == strings.Count(page, "</b>") && !strings.Contains(page, `<b>&amp;`)) {
			t.Errorf("the page has %s", bad)
		}
	}
	if !strings.Contains(page, "&lt;script&gt;alert(1)&lt;/script&gt;") {
		t.Error("the feature's name is not on the page")
	}
	dec := xml.NewDecoder(strings.NewReader(page))
	dec.Strict, dec.AutoClose, dec.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	bars := 0
	for {
		token, err := dec.Token()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "rect" {
			bars++
			for _, a := range e.Attr {
				if a.Name.Local == "height" && strings.HasPrefix(a.Value, "-") {
					t.Errorf("a bar of height %s", a.Value)
				}
			}
		}
	}
	want := 0
	for _, f := range made(t).Features {
		want += 2 * len(f.Bins)
	}
	if bars != want {
		t.Errorf("%d bars, want %d", bars, want)
	}
}
