package replay

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
	"time"

	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/replay/metrics"
	"github.com/mlmonitor/mlmonitor/reports"
)

//go:embed report.html
var page string

var tmpl = template.Must(template.New("replay").Funcs(template.FuncMap{
	"count": thousands, "money": money, "time": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") },
	"percent": func(v float64) string { return fmt.Sprintf("%.2f %%", 100*v) },
	"short":   func(v float64) string { return fmt.Sprintf("%.4g", v) },
	"number": func(n reports.Number) string {
		if math.IsNaN(float64(n)) {
			return "–"
		}
		return fmt.Sprintf("%.4f", float64(n))
	},
	"digest": func(d string) string { return d[:min(len(d), 19)] },
	"share": func(a, b int64) string {
		if b == 0 {
			return "–"
		}
		return fmt.Sprintf("%.2f %%", 100*float64(a)/float64(b))
	},
	"sum": func(n ...int64) (all int64) {
		for _, one := range n {
			all += one
		}
		return all
	},
}).Parse(page))

// HTML writes the report as one file without scripts, and without anything from elsewhere.
func (r *Report) HTML(w io.Writer) error { return tmpl.Execute(w, view{r}) }

// view adds what only the page needs.
type view struct{ *Report }

// Chart is a drawing of up to two lines on axes from 0 to 1.
type Chart struct {
	Title, X, Y string
	Diagonal    bool
	Lines       []Line
}

// Line is one of them.
type Line struct {
	Name, Class string
	Path        string
	Dots        [][2]float64
}

const chartSize = 260.0

func path(points [][2]float64) string {
	var b strings.Builder
	for i, p := range points {
		letter := "L"
		if i == 0 {
			letter = "M"
		}
		fmt.Fprintf(&b, "%s%.1f %.1f", letter, chartSize*p[0], chartSize*(1-p[1]))
	}
	return b.String()
}

// Charts are those of the sides.
func (v view) Charts() []Chart {
	roc := Chart{Title: "ROC", X: "honest flagged", Y: "frauds flagged", Diagonal: true}
	pr := Chart{Title: "Precision and recall", X: "recall", Y: "precision"}
	gain := Chart{Title: "Gain", X: "transactions looked at", Y: "frauds found", Diagonal: true}
	calibration := Chart{Title: "Calibration", X: "mean probability, log scale from 0.0001", Y: "share of fraud", Diagonal: true}
	for i, s := range v.Sides {
		class := v.class(i)
		roc.Lines = append(roc.Lines, Line{s.Name, class, path(s.ROC), nil})
		pr.Lines = append(pr.Lines, Line{s.Name, class, path(s.PR), nil})
		gain.Lines = append(gain.Lines, Line{s.Name, class, path(s.Gain), nil})
		var dots [][2]float64
		for _, r := range s.Reliability {
			dots = append(dots, [2]float64{logged(r.Mean), logged(r.Share)})
		}
		screen := make([][2]float64, len(dots))
		for j, d := range dots {
			screen[j] = [2]float64{chartSize * d[0], chartSize * (1 - d[1])}
		}
		calibration.Lines = append(calibration.Lines, Line{s.Name, class, path(dots), screen})
	}
	calibration.Y += ", likewise"
	if len(v.Sides) == 0 {
		return nil
	}
	return []Chart{roc, pr, gain, calibration}
}

// logged puts 0.0001 to 1 on 0 to 1.
func logged(p float64) float64 { return min(max((math.Log10(p)+4)/4, 0), 1) }

// class of a side's line: the candidate is always drawn alike.
func (v view) class(side int) string {
	if side == len(v.Sides)-1 {
		return "cur"
	}
	return "ref"
}

// Histogram is the distribution of a side's log odds, frauds and honest each to their own height.
type Histogram struct {
	Name string
	Bars []HistogramBar
}

// HistogramBar is one bin.
type HistogramBar struct {
	X, HonestY, HonestH, FraudY, FraudH, Width float64
	Title                                      string
}

const histogramHeight = 110.0

// Histograms are those of the sides.
func (v view) Histograms() []Histogram {
	var all []Histogram
	for _, s := range v.Sides {
		h := Histogram{Name: s.Name}
		var most [2]float64
		for class := range s.Histogram {
			for _, n := range s.Histogram[class] {
				most[class] = max(most[class], math.Sqrt(float64(n)), 1)
			}
		}
		slot := 2 * chartSize / scatterBins
		for i := range scatterBins {
			honest, fraud := s.Histogram[0][i], s.Histogram[1][i]
			hh, fh := histogramHeight*math.Sqrt(float64(honest))/most[0], histogramHeight*math.Sqrt(float64(fraud))/most[1]
			low, high := odds(i), odds(i+1)
			h.Bars = append(h.Bars, HistogramBar{float64(i) * slot, histogramHeight - hh, hh, histogramHeight - fh, fh, slot * 0.44,
				fmt.Sprintf("%.4f to %.4f: %s honest, %s fraud", low, high, thousands(honest), thousands(fraud))})
		}
		all = append(all, h)
	}
	return all
}

// odds is the probability at which a bin of log odds begins.
func odds(bin int) float64 { return 1 / (1 + math.Exp(-(float64(bin)*18/scatterBins - 9))) }

// HeatCell is one of the scatter.
type HeatCell struct {
	X, Y, Size, Opacity float64
	Title               string
}

// Heat is the scatter of both probabilities.
func (v view) Heat() []HeatCell {
	most := 0.0
	for _, row := range v.Compared.Scatter {
		for _, n := range row {
			most = max(most, math.Log1p(float64(n)))
		}
	}
	size := chartSize / scatterBins
	var all []HeatCell
	for i, row := range v.Compared.Scatter {
		for j, n := range row {
			if n > 0 {
				all = append(all, HeatCell{float64(i) * size, chartSize - float64(j+1)*size, size, 0.12 + 0.88*math.Log1p(float64(n))/most,
					fmt.Sprintf("was %.4f, would be %.4f: %s", odds(i), odds(j), thousands(n))})
			}
		}
	}
	return all
}

// DayChart draws a figure of each day, of both sides.
type DayChart struct {
	Title string
	Most  string
	Lines []Line
	From  string
	To    string
}

const dayWidth, dayHeight = 520.0, 120.0

// DayCharts are shares of the days' transactions, and frauds caught.
func (v view) DayCharts() []DayChart {
	if len(v.Days) < 2 {
		return nil
	}
	chart := func(title string, figure func(d DayLine, side int) float64, shown func(most float64) string) DayChart {
		c := DayChart{Title: title, From: v.Days[0].Date, To: v.Days[len(v.Days)-1].Date}
		most := 0.0
		var values [2][]float64
		for side := range 2 {
			for _, d := range v.Days {
				x := figure(d, side)
				values[side] = append(values[side], x)
				if !math.IsNaN(x) {
					most = max(most, x)
				}
			}
		}
		if most == 0 {
			most = 1
		}
		c.Most = shown(most)
		for side, class := range []string{"ref", "cur"} {
			if side == 0 && v.Compared == nil {
				continue
			}
			var b strings.Builder
			letter := "M"
			for i, x := range values[side] {
				if math.IsNaN(x) {
					letter = "M"
					continue
				}
				fmt.Fprintf(&b, "%s%.1f %.1f", letter, dayWidth*float64(i)/float64(len(v.Days)-1), dayHeight*(1-x/most))
				letter = "L"
			}
			c.Lines = append(c.Lines, Line{Class: class, Path: b.String()})
		}
		return c
	}
	percent := func(most float64) string { return fmt.Sprintf("%.2f %%", 100*most) }
	all := []DayChart{
		chart("Declined, share of transactions", func(d DayLine, side int) float64 { return float64(d.Decided[side][2]) / float64(max(1, d.Count)) }, percent),
		chart("Reviews", func(d DayLine, side int) float64 { return float64(d.Decided[side][1]) }, func(most float64) string { return money(most) }),
	}
	if v.Labels != nil {
		all = append(all, chart("Frauds not approved, share of those known", func(d DayLine, side int) float64 { return float64(d.Caught[side]) / float64(d.Frauds) }, percent))
	}
	return all
}

// FlipTable is one direction of flips.
type FlipTable struct {
	Title string
	FlipLines
}

// FlipTables are the two directions.
func (v view) FlipTables() []FlipTable {
	return []FlipTable{{"Newly declined", v.Compared.Declined}, {"Newly approved, or no longer declined", v.Compared.Approved}}
}

// figureRow is a line of figures beside each other.
type figureRow struct {
	Name  string
	Cells []string
	Gain  string
}

// Figures are the rows of the table of sides.
func (v view) Figures() []figureRow {
	row := func(name string, cell func(s *SideReport) string, gain string) figureRow {
		r := figureRow{Name: name, Gain: gain}
		for _, s := range v.Sides {
			r.Cells = append(r.Cells, cell(s))
		}
		return r
	}
	g := v.Gain
	text := func(pick func(g *metrics.Difference) metrics.Interval, show func(metrics.Interval) string) string {
		if g == nil {
			return ""
		}
		return show(pick(g))
	}
	plain := func(i metrics.Interval) string { return i.Text(4) }
	share := metrics.Interval.Percent
	rows := []figureRow{
		row("ROC AUC", func(s *SideReport) string { return s.AUC.Text(4) }, text(func(g *metrics.Difference) metrics.Interval { return g.AUC }, plain)),
		row("average precision", func(s *SideReport) string { return s.AveragePrecision.Text(4) }, text(func(g *metrics.Difference) metrics.Interval { return g.AveragePrecision }, plain)),
		row(fmt.Sprintf("precision at %d a day", v.Settings.K), func(s *SideReport) string { return s.PrecisionAtK.Text(4) }, ""),
		row(fmt.Sprintf("card precision at %d a day", v.Settings.K), func(s *SideReport) string { return s.CardPrecision.Text(4) }, ""),
		row("Brier score", func(s *SideReport) string { return s.Brier.Text(5) }, text(func(g *metrics.Difference) metrics.Interval { return g.Brier }, func(i metrics.Interval) string { return i.Text(5) })),
		row("expected calibration error", func(s *SideReport) string { return fmt.Sprintf("%.5f", s.ECE) }, ""),
		row("frauds not approved", func(s *SideReport) string { return share(s.Caught) }, text(func(g *metrics.Difference) metrics.Interval { return g.Caught }, share)),
		row("frauds declined", func(s *SideReport) string { return share(s.Declined) }, ""),
		row("precision of declines", func(s *SideReport) string { return share(s.Precision) }, ""),
		row("honest declined", func(s *SideReport) string { return share(s.Harmed) }, text(func(g *metrics.Difference) metrics.Interval { return g.Harmed }, share)),
	}
	if v.Settings.Costs != nil {
		rows = append(rows, row("cost", func(s *SideReport) string { return s.Cost.Text(0) }, text(func(g *metrics.Difference) metrics.Interval { return g.Cost }, func(i metrics.Interval) string { return i.Text(0) })))
	}
	return rows
}

// Worst are the features that drifted most.
func (v view) Worst() []reports.Feature { return v.Drift.Features[:min(8, len(v.Drift.Features))] }

// Order of decisions in tables.
func (view) Order() []string {
	var all []string
	for _, d := range drift.Decisions {
		all = append(all, string(d))
	}
	return all
}
