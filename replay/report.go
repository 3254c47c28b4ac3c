package replay

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/replay/metrics"
	"github.com/mlmonitor/mlmonitor/reports"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/scorer"
)

// Report is what a replay found. Its JSON names are stable.
type Report struct {
	Words     []string         `json:"in_words"`
	Candidate schemas.BundleID `json:"candidate"`
	Against   string           `json:"against,omitempty"`
	Settings  Settings         `json:"settings"`
	Parts     []PartDone       `json:"parts"`
	Partial   bool             `json:"partial"`

	Records  int64                   `json:"records"`
	Left     int64                   `json:"left_out"`
	Scored   int64                   `json:"scored"`
	Refused  map[schemas.Class]int64 `json:"refused"`
	Unpaired int64                   `json:"unpaired"`
	Bundles  map[string]int64        `json:"bundles"`
	From     time.Time               `json:"from"`
	To       time.Time               `json:"to"`

	Compared *Compared           `json:"compared,omitempty"` // nil where there is nothing to compare with
	Days     []DayLine           `json:"days"`
	Segments []SegmentLine       `json:"segments,omitempty"`
	Labels   *LabelCounts        `json:"labels,omitempty"`
	Sides    []*SideReport       `json:"sides,omitempty"`      // what was given, the candidate; the candidate alone where nothing is compared
	Gain     *metrics.Difference `json:"difference,omitempty"` // the candidate's figures less those of what was given
	Suggest  *metrics.Suggestion `json:"suggested_policy,omitempty"`
	Drift    *reports.Report     `json:"drift,omitempty"`
}

// Compared is the candidate beside what it is compared with, label or not.
type Compared struct {
	Transactions int64                           `json:"transactions"`
	Agreement    float64                         `json:"agreement"`
	Decided      [3][3]int64                     `json:"decided"` // by what was decided and what would be, in the order of Order
	Amounts      [3][3]float64                   `json:"amounts"`
	Order        []schemas.Decision              `json:"order"`
	MeanDistance float64                         `json:"mean_distance"`
	MaxDistance  float64                         `json:"max_distance"`
	PSI          reports.Number                  `json:"psi"`
	Scatter      [scatterBins][scatterBins]int64 `json:"scatter"`
	Declined     FlipLines                       `json:"newly_declined"`
	Approved     FlipLines                       `json:"newly_approved"`
}

// FlipLines are those of one direction.
type FlipLines struct {
	Count  int64   `json:"count"`
	Amount float64 `json:"amount"`
	Top    []Flip  `json:"top"`
}

// DayLine is one day.
type DayLine struct {
	Date    string      `json:"date"`
	Count   int64       `json:"count"`
	Decided [2][3]int64 `json:"decided"` // by side
	Frauds  int64       `json:"frauds"`  // of known label
	Caught  [2]int64    `json:"caught"`
	Harmed  [2]int64    `json:"harmed"`
}

// SegmentLine is one value of a feature.
type SegmentLine struct {
	Feature string `json:"feature"`
	Value   string `json:"value"`
	Segment
}

// SideReport is what is known of one side.
type SideReport struct {
	Name string `json:"name"`
	*metrics.Figures
	Decided       [3][2]int64           `json:"decided"` // by decision: honest, fraud
	Amount        [3][2]float64         `json:"amount"`
	PrecisionAtK  metrics.Interval      `json:"precision_at_k"`
	CardPrecision metrics.Interval      `json:"card_precision_at_k"`
	At            []metrics.At          `json:"at"`               // thresholds of the policy, and some others
	ROC           [][2]float64          `json:"roc"`              // false positive rate, recall
	PR            [][2]float64          `json:"precision_recall"` // recall, precision
	Gain          [][2]float64          `json:"gain"`             // share of transactions, share of frauds
	Histogram     [2][scatterBins]int64 `json:"histogram"`        // of log odds: honest, fraud
	DroppedBits   int                   `json:"dropped_bits"`
}

// drawnPoints is how many places of a curve are drawn.
const drawnPoints = 240

// NewReport makes the report of what was counted. candidate and base may be nil where counts come from files.
func NewReport(c *Counts, candidate, base *scorer.Bundle) *Report {
	r := &Report{Candidate: c.Candidate, Against: c.Against, Settings: c.Settings, Parts: c.Parts, Partial: c.Partial, Records: c.Records, Left: c.Left, Scored: c.Scored, Refused: c.Refused,
		Unpaired: c.Unpaired, Bundles: c.Bundles, From: c.From, To: c.To, Labels: c.Labels}
	if n := c.Pairs.Count(); n > 0 {
		r.Compared = &Compared{Transactions: n, Agreement: c.Pairs.Agreement(), Decided: c.Pairs.Decided, Order: drift.Decisions, MeanDistance: rounded(c.Pairs.Sum / float64(n)),
			MaxDistance: c.Pairs.Largest, PSI: reports.Number(c.Pairs.PSI()), Scatter: c.Scatter, Declined: c.Flips[0].lines(), Approved: c.Flips[1].lines()}
		for i := range c.Amounts {
			for j := range c.Amounts[i] {
				r.Compared.Amounts[i][j] = c.Amounts[i][j].Float()
			}
		}
	}
	for _, date := range slices.Sorted(maps.Keys(c.Days)) {
		d := c.Days[date]
		line := DayLine{Date: date, Count: d.Count, Decided: d.Decided}
		for i, s := range c.Sides {
			if s == nil || s.Days[date] == nil {
				continue
			}
			line.Caught[i], line.Harmed[i] = s.Days[date].Caught, s.Days[date].Harmed
			line.Frauds = s.Days[date].Frauds
		}
		r.Days = append(r.Days, line)
	}
	for _, feature := range slices.Sorted(maps.Keys(c.Segments)) {
		for _, value := range slices.Sorted(maps.Keys(c.Segments[feature])) {
			r.Segments = append(r.Segments, SegmentLine{feature, value, *c.Segments[feature][value]})
		}
	}
	r.sides(c, candidate, base)
	if c.timeline != nil && c.Scored > 0 && candidate != nil && candidate.Profile != nil {
		r.Drift = reports.New(reports.Source{Bundle: c.Candidate, What: c.Settings.Source}, candidate.Profile, c.timeline, candidate.Contract.Rules(), c.quality)
	}
	r.Words = r.words()
	for i, b := range []*scorer.Bundle{candidate, base} {
		if b == nil {
			continue
		}
		if to := learntUntil(b); to.After(c.From) {
			r.Words = slices.Insert(r.Words, 1, fmt.Sprintf("Careful: the %s has learnt from events until %s, which this range has too: on those it looks better than it is. Replay what came after.",
				[]string{"candidate", "bundle that it is compared with"}[i], to.Format("2006-01-02 15:04")))
		}
	}
	return r
}

// learntUntil is the time of the last event that a bundle's model was trained on, as far as its training wrote that down: training.train.to.
func learntUntil(b *scorer.Bundle) time.Time {
	var training struct {
		Train struct {
			To time.Time `json:"to"`
		} `json:"train"`
	}
	if json.Unmarshal(b.Training, &training) != nil {
		return time.Time{}
	}
	return training.Train.To
}

func rounded(v float64) float64 { return math.Round(v*1e9) / 1e9 }

func (f *Flips) lines() FlipLines {
	f.cut()
	return FlipLines{f.Count, f.Amount.Float(), f.Top}
}

func (s *Side) sample() *metrics.Sample {
	return &metrics.Sample{Scores: s.Scores, Boot: s.Boot, Decided: s.Decided, Cost: s.Cost}
}

func (s *Side) known() (n int64) {
	for _, d := range s.Decided {
		n += d[0] + d[1]
	}
	return n
}

func (r *Report) sides(c *Counts, candidate, base *scorer.Bundle) {
	names := [2]string{"as it was", "as it would be"}
	bundles := [2]*scorer.Bundle{base, candidate}
	for i, s := range c.Sides {
		if s == nil || s.known() == 0 {
			continue
		}
		one := &SideReport{Name: names[i], Figures: s.sample().Figure(), Decided: s.Decided, DroppedBits: s.Scores.Bits}
		for d := range s.Amount {
			for class := range s.Amount[d] {
				one.Amount[d][class] = s.Amount[d][class].Float()
			}
		}
		var top, cards []float64
		for _, date := range slices.Sorted(maps.Keys(s.Days)) {
			if share, of := s.Days[date].Top.Precision(); of > 0 {
				top = append(top, share)
			}
			if share, of := s.Days[date].Customers.Precision(); of > 0 {
				cards = append(cards, share)
			}
		}
		one.PrecisionAtK, one.CardPrecision = metrics.OverDays(top), metrics.OverDays(cards)
		one.draw(s, bundles[i])
		r.Sides = append(r.Sides, one)
	}
	if len(r.Sides) == 2 {
		r.Gain = c.Sides[1].sample().Minus(c.Sides[0].sample())
	}
	if s := c.Sides[1]; s != nil && s.Grid != nil && s.known() > 0 {
		days := 0
		for _, d := range s.Days {
			if d.Frauds+d.Honest > 0 {
				days++
			}
		}
		r.Suggest = s.Grid.Suggest(float64(days), c.Settings.Costs, s.Boot)
	}
}

// draw makes the curves.
func (s *SideReport) draw(side *Side, b *scorer.Bundle) {
	points := side.Scores.Ranked()
	c := metrics.NewCurve(points)
	frauds, honests := c.Totals()
	all := float64(frauds + honests)
	share := func(a, b float64) float64 {
		if b == 0 {
			return 0
		}
		return a / b
	}
	s.ROC, s.Gain = append(s.ROC, [2]float64{}), append(s.Gain, [2]float64{})
	for _, i := range c.Thin(drawnPoints) {
		tp, fp := float64(c.Fraud[i]), float64(c.Honest[i])
		recall := share(tp, float64(frauds))
		s.ROC = append(s.ROC, [2]float64{share(fp, float64(honests)), recall})
		s.PR = append(s.PR, [2]float64{recall, share(tp, tp+fp)})
		s.Gain = append(s.Gain, [2]float64{(tp + fp) / all, recall})
	}
	for _, p := range points {
		bin := scatterBin(p.P)
		s.Histogram[0][bin] += p.Honest
		s.Histogram[1][bin] += p.Fraud
	}
	thresholds := []float64{0.01, 0.05, 0.1, 0.3, 0.5, 0.8}
	if b != nil {
		thresholds = append(thresholds, b.Policy.Review, b.Policy.Decline)
	}
	slices.Sort(thresholds)
	for _, t := range slices.Compact(thresholds) {
		s.At = append(s.At, c.At(t))
	}
}

// words say the most important in sentences.
func (r *Report) words() (all []string) {
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if r.Partial {
		say("This is a part: the replay was interrupted. What was read is listed below.")
	}
	say("%s transactions of %s were scored under %s %s; %s were refused, as they would be live.", thousands(r.Scored), r.Settings.Source, r.Candidate.Name, r.Candidate.Version, thousands(r.Records-r.Scored))
	if c := r.Compared; c != nil {
		flips := c.Transactions - c.Decided[0][0] - c.Decided[1][1] - c.Decided[2][2]
		say("Against %s, %s of %s would be decided otherwise (%.2f %%): %s newly declined, worth %s, and %s newly approved or no longer declined, worth %s.", short(r.Against), thousands(flips), thousands(c.Transactions),
			100*float64(flips)/float64(c.Transactions), thousands(c.Declined.Count), money(c.Declined.Amount), thousands(c.Approved.Count), money(c.Approved.Amount))
	}
	if r.Unpaired > 0 {
		say("%s have nothing to compare with: they were refused then, or their verdicts are no longer there, or not yet.", thousands(r.Unpaired))
	}
	if l := r.Labels; l != nil {
		mature := l.Labelled + l.Unlabelled
		say("Labels: %s of %s mature transactions have one (%.1f %%); %s are too young to count; %s labels are of no transaction of the range.", thousands(l.Labelled), thousands(mature),
			100*float64(l.Labelled)/float64(max(1, mature)), thousands(l.Immature), thousands(l.Unknown))
	}
	if g := r.Gain; g != nil {
		say("The candidate's average precision is %s: %s. Its ROC AUC is %s.", r.Sides[1].AveragePrecision.Text(4), better(g.AveragePrecision, 4, 1, "", "higher", "lower"), better(g.AUC, 4, 1, "", "higher", "lower"))
		say("It keeps %s of the frauds from being approved: %s. It declines %s of the honest: %s.", r.Sides[1].Caught.Percent(), better(g.Caught, 2, 100, " points", "more", "less"),
			r.Sides[1].Harmed.Percent(), better(g.Harmed, 2, 100, " points", "more", "less"))
		if r.Settings.Costs != nil {
			say("By the cost table, its decisions cost %s instead of %s: %s.", money(r.Sides[1].Cost.Value), money(r.Sides[0].Cost.Value), better(g.Cost, 0, 1, "", "more", "less"))
		}
	} else if len(r.Sides) == 1 {
		say("Its ROC AUC is %s, its average precision %s.", r.Sides[0].AUC.Text(4), r.Sides[0].AveragePrecision.Text(4))
	}
	if s := r.Suggest; s != nil {
		say("Within the capacity, a policy that reviews from %.4g and declines from %.4g would have cost least: %s.", s.Review, s.Decline, money(s.Cost))
	}
	if d := r.Drift; d != nil {
		switch d.Verdict {
		case drift.Severe, drift.Warn, drift.Small:
			say("Drift against the candidate's profile: %s is worst (%s, PSI %.3f).", d.Features[0].Name, d.Verdict, float64(d.Features[0].PSI))
		default:
			say("Drift against the candidate's profile: %s.", d.Verdict)
		}
	}
	return all
}

// short leaves most of a digest out.
func short(against string) string {
	if before, digest, ok := strings.Cut(against, "sha256:"); ok && len(digest) > 8 {
		return before + "sha256:" + digest[:8] + "…"
	}
	return against
}

func thousands(n int64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "\u202f" + text[i:]
	}
	return text
}

func money(v float64) string {
	sign := ""
	if v < 0 {
		sign, v = "−", -v
	}
	return sign + thousands(int64(math.Round(v)))
}

// better says in which direction a difference points, and whether chance alone could make it. The value is shown times scale, with so many digits and a unit.
func better(i metrics.Interval, digits int, scale float64, unit, up, down string) string {
	word := up
	if i.Value < 0 {
		word = down
	}
	value := fmt.Sprintf("%.*f", digits, math.Abs(scale*i.Value))
	if digits == 0 {
		value = money(math.Abs(i.Value))
	}
	text := fmt.Sprintf("%s by %s%s", word, value, unit)
	if i.Low <= 0 && i.High >= 0 {
		return text + ", which chance explains"
	}
	return text + ", more than chance explains"
}
