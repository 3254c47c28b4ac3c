package replay

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/replay/metrics"
	"github.com/mlmonitor/mlmonitor/schemas"
)

// countsVersion is of the JSON of Counts.
const countsVersion = 1

// Counts are what a replay counted: those of parts, of partitions or machines, add up.
type Counts struct {
	Version   int              `json:"version"`
	Candidate schemas.BundleID `json:"candidate"`
	Against   string           `json:"against"` // what the candidate is compared with, "" for nothing
	Settings  Settings         `json:"settings"`
	Parts     []PartDone       `json:"parts"`
	Partial   bool             `json:"partial"` // it was interrupted: a part of the inputs is missing

	Records  int64                   `json:"records"`
	Left     int64                   `json:"left_out"` // by sampling, or of other times
	Scored   int64                   `json:"scored"`
	Refused  map[schemas.Class]int64 `json:"refused"`
	Unpaired int64                   `json:"unpaired"` // scored, and without anything to compare with
	Bundles  map[string]int64        `json:"bundles"`  // verdicts that were given, by digest
	From     time.Time               `json:"from"`     // of event times
	To       time.Time               `json:"to"`

	Pairs    *drift.Pairs                    `json:"pairs"`
	Amounts  [3][3]metrics.Money             `json:"amounts"` // by what was decided and what would be
	Scatter  [scatterBins][scatterBins]int64 `json:"scatter"`
	Flips    [2]Flips                        `json:"flips"` // newly declined, newly approved
	Segments map[string]map[string]*Segment  `json:"segments"`
	Days     map[string]*Day                 `json:"days"` // by UTC date of the event time

	Labels *LabelCounts `json:"labels,omitempty"`
	Sides  [2]*Side     `json:"sides"` // what was given, what the candidate gives

	timeline *drift.Timeline
	quality  *drift.QualityCounts
}

// Settings are those of a replay that parts of it must share.
type Settings struct {
	Source     string         `json:"source"`
	Labels     string         `json:"labels,omitempty"`
	Unlabelled string         `json:"unlabelled,omitempty"`
	Maturity   string         `json:"maturity,omitempty"`
	AsOf       time.Time      `json:"as_of"`
	Costs      *metrics.Costs `json:"costs,omitempty"`
	K          int            `json:"k"`
	Sample     float64        `json:"sample"`
	Segments   []string       `json:"segments,omitempty"`
	Command    string         `json:"command"`
}

// PartDone is a part that was read.
type PartDone struct {
	Source    string `json:"source"`
	Partition int32  `json:"partition"`
	From      int64  `json:"from"`
	To        int64  `json:"to"` // not included
	Records   int64  `json:"records"`
}

const scatterBins = 32

// Flip is a transaction that would be decided otherwise.
type Flip struct {
	ID        string  `json:"transaction_id"`
	Amount    float64 `json:"amount"`
	Was       string  `json:"was"`
	Would     string  `json:"would"`
	P         float64 `json:"probability_was"`
	Q         float64 `json:"probability_would"`
	Fraud     string  `json:"label"` // fraud, honest, or nobody knows
	Partition int32   `json:"partition"`
	Offset    int64   `json:"offset"`
}

// Flips keeps those of the largest amounts.
type Flips struct {
	Count  int64         `json:"count"`
	Amount metrics.Money `json:"amount"`
	Top    []Flip        `json:"top"`
}

const topFlips = 20

func (f *Flips) add(one Flip) {
	f.Count++
	f.Amount += metrics.MoneyOf(one.Amount)
	f.Top = append(f.Top, one)
	if len(f.Top) >= 4*topFlips {
		f.cut()
	}
}

func (f *Flips) cut() {
	slices.SortFunc(f.Top, func(a, b Flip) int {
		return cmp.Or(cmp.Compare(b.Amount, a.Amount), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
	f.Top = f.Top[:min(len(f.Top), topFlips)]
}

// Segment is the transactions with one value of a feature.
type Segment struct {
	Count   int64       `json:"count"`
	Decided [3][3]int64 `json:"decided"`
	Known   [2]int64    `json:"known"`  // honest, fraud
	Caught  [2]int64    `json:"caught"` // frauds that each side does not approve
	Harmed  [2]int64    `json:"harmed"` // honest ones that each side declines
}

// maxSegments bounds the values of a feature: others are one.
const maxSegments = 60

// Day is one day of event time.
type Day struct {
	Count   int64       `json:"count"`
	Decided [2][3]int64 `json:"decided"` // by side
}

// maxDays bounds the days: events further apart are an error in their times.
const maxDays = 5000

// Side is one of the two that are compared, on transactions whose label is known.
type Side struct {
	Scores  *metrics.Scores     `json:"scores"`
	Boot    *metrics.Boot       `json:"boot"`
	Grid    *metrics.Grid       `json:"grid,omitempty"`
	Decided [3][2]int64         `json:"decided"` // by decision: honest, fraud
	Amount  [3][2]metrics.Money `json:"amount"`
	Cost    metrics.Money       `json:"cost"`
	Days    map[string]*SideDay `json:"days"`
}

// SideDay is a day of a side.
type SideDay struct {
	Frauds    int64              `json:"frauds"`
	Honest    int64              `json:"honest"`
	Caught    int64              `json:"caught"` // frauds not approved
	Harmed    int64              `json:"harmed"` // honest ones declined
	Top       *metrics.Top       `json:"top"`
	Customers *metrics.Customers `json:"customers"`
}

func newSide(costs bool) *Side {
	s := &Side{Scores: &metrics.Scores{}, Boot: metrics.NewBoot(), Days: map[string]*SideDay{}}
	if costs {
		s.Grid = metrics.NewGrid()
	}
	return s
}

func newCounts(o *Options, source string) *Counts {
	c := &Counts{Version: countsVersion, Candidate: o.Candidate.ID, Refused: map[schemas.Class]int64{}, Bundles: map[string]int64{}, Pairs: drift.NewPairs(),
		Segments: map[string]map[string]*Segment{}, Days: map[string]*Day{}}
	switch {
	case o.Base != nil:
		c.Against = fmt.Sprintf("bundle %s %s %s", o.Base.ID.Name, o.Base.ID.Version, o.Base.ID.Digest)
	case o.Verdicts:
		c.Against = "the verdicts that were given"
	}
	c.Settings = Settings{Source: source, K: o.K, Sample: o.Sample, Segments: o.Segments, Costs: o.Costs, Command: o.Command}
	for _, s := range o.Segments {
		c.Segments[s] = map[string]*Segment{}
	}
	if o.Labels != nil {
		c.Settings.Labels, c.Settings.Unlabelled, c.Settings.Maturity, c.Settings.AsOf = o.Labels.Name, o.Unlabelled, o.Maturity.String(), o.AsOf
		c.Labels = &LabelCounts{}
		c.Sides = [2]*Side{newSide(false), newSide(o.Costs != nil)}
	}
	return c
}

// settle makes counts whole before they are written.
func (c *Counts) settle() {
	for _, s := range c.Sides {
		if s != nil {
			s.Boot.Settle()
		}
	}
}

// Merge adds what another replay of the same bundles and settings counted, of other inputs.
func (c *Counts) Merge(o *Counts) error {
	switch {
	case c.Version != o.Version:
		return fmt.Errorf("one has version %d, the other %d", c.Version, o.Version)
	case c.Candidate != o.Candidate:
		return fmt.Errorf("one is of %s, the other of %s", c.Candidate.Digest, o.Candidate.Digest)
	case c.Against != o.Against:
		return fmt.Errorf("one compares with %q, the other with %q", c.Against, o.Against)
	case (c.Labels == nil) != (o.Labels == nil), !c.Settings.alike(&o.Settings):
		return fmt.Errorf("they have other settings: %+v and %+v", c.Settings, o.Settings)
	}
	for _, p := range o.Parts {
		for _, q := range c.Parts {
			if p.Source == q.Source && p.Partition == q.Partition && p.From < q.To && q.From < p.To {
				return fmt.Errorf("both have partition %d of %s from offset %d to %d", p.Partition, p.Source, max(p.From, q.From), min(p.To, q.To))
			}
		}
	}
	c.add(o)
	return nil
}

func (s *Settings) alike(o *Settings) bool {
	costs := s.Costs == o.Costs || s.Costs != nil && o.Costs != nil && *s.Costs == *o.Costs
	return s.Labels == o.Labels && s.Unlabelled == o.Unlabelled && s.Maturity == o.Maturity && s.AsOf.Equal(o.AsOf) && costs && s.K == o.K && s.Sample == o.Sample && slices.Equal(s.Segments, o.Segments)
}

func (c *Counts) add(o *Counts) {
	c.Parts = append(c.Parts, o.Parts...)
	slices.SortFunc(c.Parts, func(a, b PartDone) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.From, b.From))
	})
	c.Partial = c.Partial || o.Partial
	c.Records += o.Records
	c.Left += o.Left
	c.Scored += o.Scored
	c.Unpaired += o.Unpaired
	for class, n := range o.Refused {
		c.Refused[class] += n
	}
	for digest, n := range o.Bundles {
		c.Bundles[digest] += n
	}
	c.span(o.From)
	c.span(o.To)
	c.Pairs.Merge(o.Pairs)
	for i := range c.Amounts {
		for j := range c.Amounts[i] {
			c.Amounts[i][j] += o.Amounts[i][j]
		}
	}
	for i := range c.Scatter {
		for j := range c.Scatter[i] {
			c.Scatter[i][j] += o.Scatter[i][j]
		}
	}
	for i := range c.Flips {
		c.Flips[i].Count += o.Flips[i].Count
		c.Flips[i].Amount += o.Flips[i].Amount
		c.Flips[i].Top = append(c.Flips[i].Top, o.Flips[i].Top...)
		c.Flips[i].cut()
	}
	for feature, values := range o.Segments {
		for _, value := range slices.Sorted(maps.Keys(values)) {
			c.segment(feature, value).merge(values[value])
		}
	}
	for date, theirs := range o.Days {
		d := c.Days[date]
		if d == nil {
			d = &Day{}
			c.Days[date] = d
		}
		d.Count += theirs.Count
		for i := range d.Decided {
			for j := range d.Decided[i] {
				d.Decided[i][j] += theirs.Decided[i][j]
			}
		}
	}
	if c.Labels != nil {
		c.Labels.Merge(o.Labels)
	}
	for i := range c.Sides {
		if c.Sides[i] != nil {
			c.Sides[i].merge(o.Sides[i], c.Settings.K)
		}
	}
	if c.timeline != nil && o.timeline != nil {
		c.timeline.Merge(o.timeline)
	} else {
		c.timeline = nil
	}
	if c.quality != nil && o.quality != nil {
		c.quality.Add(o.quality)
	}
}

func (c *Counts) span(t time.Time) {
	if t.IsZero() {
		return
	}
	if c.From.IsZero() || t.Before(c.From) {
		c.From = t
	}
	if t.After(c.To) {
		c.To = t
	}
}

// segment of a value of a feature; the values beyond the first maxSegments are one.
func (c *Counts) segment(feature, value string) *Segment {
	values := c.Segments[feature]
	if values[value] == nil {
		if len(values) >= maxSegments {
			value = "(others)"
		}
		if values[value] == nil {
			values[value] = &Segment{}
		}
	}
	return values[value]
}

func (s *Segment) merge(o *Segment) {
	s.Count += o.Count
	for i := range s.Decided {
		for j := range s.Decided[i] {
			s.Decided[i][j] += o.Decided[i][j]
		}
	}
	for i := range s.Known {
		s.Known[i] += o.Known[i]
		s.Caught[i] += o.Caught[i]
		s.Harmed[i] += o.Harmed[i]
	}
}

func (s *Side) merge(o *Side, k int) {
	s.Scores.Merge(o.Scores)
	s.Boot.Merge(o.Boot)
	if s.Grid != nil && o.Grid != nil {
		s.Grid.Merge(o.Grid)
	}
	for d := range s.Decided {
		for class := range s.Decided[d] {
			s.Decided[d][class] += o.Decided[d][class]
			s.Amount[d][class] += o.Amount[d][class]
		}
	}
	s.Cost += o.Cost
	for date, theirs := range o.Days {
		d := s.day(date, k)
		d.Frauds += theirs.Frauds
		d.Honest += theirs.Honest
		d.Caught += theirs.Caught
		d.Harmed += theirs.Harmed
		d.Top.Merge(theirs.Top)
		d.Customers.Merge(theirs.Customers)
	}
}

func (s *Side) day(date string, k int) *SideDay {
	d := s.Days[date]
	if d == nil {
		d = &SideDay{Top: &metrics.Top{K: k}, Customers: metrics.NewCustomers(k)}
		s.Days[date] = d
	}
	return d
}

// ReadCounts reads what was written of Counts as JSON, and refuses what no replay writes.
func ReadCounts(r io.Reader) (*Counts, error) {
	c := &Counts{}
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	if err := dec.Decode(c); err != nil {
		return nil, fmt.Errorf("read counts: %w", err)
	}
	if c.Version != countsVersion {
		return nil, fmt.Errorf("read counts: version %d, this program writes %d", c.Version, countsVersion)
	}
	fresh := drift.NewPairs()
	if c.Pairs == nil || len(c.Pairs.Chances[0]) != len(fresh.Chances[0]) || len(c.Pairs.Chances[1]) != len(fresh.Chances[1]) || c.Refused == nil || c.Bundles == nil || c.Segments == nil || c.Days == nil {
		return nil, errors.New("read counts: a part is missing")
	}
	for _, s := range c.Settings.Segments {
		if c.Segments[s] == nil {
			return nil, errors.New("read counts: a segment is missing")
		}
	}
	for _, s := range c.Sides {
		if (s == nil) != (c.Labels == nil) {
			return nil, errors.New("read counts: there are labels and no sides, or sides and no labels")
		}
		if s == nil {
			continue
		}
		if s.Scores == nil || s.Boot == nil || s.Boot.Bins == nil || s.Days == nil {
			return nil, errors.New("read counts: a part of a side is missing")
		}
		if err := errors.Join(s.Scores.Check(), s.Boot.Check()); err != nil {
			return nil, fmt.Errorf("read counts: %w", err)
		}
		for date, d := range s.Days {
			if d == nil || d.Top == nil || d.Customers == nil || d.Customers.Highest == nil || d.Customers.Frauds == nil {
				return nil, fmt.Errorf("read counts: of %s a part is missing", date)
			}
		}
		if s.Grid != nil && s.Grid.Cells == nil {
			return nil, errors.New("read counts: the grid is empty")
		}
	}
	return c, nil
}
