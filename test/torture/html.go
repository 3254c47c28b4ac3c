package torture

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
	"time"
)

//go:embed report.html
var reportText string

var report = template.Must(template.New("report").Funcs(template.FuncMap{"seconds": seconds, "class": Class}).Parse(reportText))

func seconds(d time.Duration) string {
	if d == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

// HTML writes the report: one file that needs nothing beside it.
func (r *Result) HTML(w io.Writer) error {
	return report.Execute(w, view{Result: r, Took: r.Ended.Sub(r.Began).Round(time.Second), Sums: r.Tally(), Timeline: r.timeline(), Stalls: r.stallPlot()})
}

// view is what the template shows.
type view struct {
	*Result
	Took     time.Duration
	Sums     map[string]int
	Timeline template.HTML
	Stalls   template.HTML
}

// Sizes of the pictures, in their own units.
const (
	wide    = 1100.0
	left    = 150.0
	barHigh = 13.0
	curve   = 150.0
)

// timeline draws throughput over time, and below it a bar for each fault, a row for each kind.
func (r *Result) timeline() template.HTML {
	total, most := 1.0, int64(1)
	for _, s := range r.Throughput {
		total, most = max(total, s.At), max(most, s.Inputs, s.Answered)
	}
	began := r.Began
	if len(r.Throughput) > 0 {
		began = r.Ended.Add(-time.Duration(total * float64(time.Second)))
	}
	x := func(at time.Time) float64 {
		return left + (wide-left-10)*min(1, max(0, at.Sub(began).Seconds()/total))
	}
	high := curve + 30 + barHigh*float64(len(r.Kinds)) + 20
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %.0f %.0f" role="img" aria-label="throughput and faults over time">`, wide, high)
	for _, share := range []float64{0, 0.5, 1} {
		y := 10 + curve*(1-share)
		fmt.Fprintf(&b, `<line x1="%.0f" x2="%.0f" y1="%.1f" y2="%.1f" class="grid"/><text x="%.0f" y="%.1f" class="tick" text-anchor="end">%.0f/s</text>`, left, wide-10, y, y, left-6, y+4, share*float64(most))
	}
	for _, line := range []struct {
		class string
		of    func(Sample) int64
	}{{"inputs", func(s Sample) int64 { return s.Inputs }}, {"answers", func(s Sample) int64 { return s.Answered }}} {
		fmt.Fprintf(&b, `<polyline class="%s" points="`, line.class)
		for _, s := range r.Throughput {
			fmt.Fprintf(&b, "%.1f,%.1f ", left+(wide-left-10)*s.At/total, 10+curve*(1-float64(line.of(s))/float64(most)))
		}
		b.WriteString(`"/>`)
	}
	rows := map[string]float64{}
	for i, k := range r.Kinds {
		rows[k.Kind] = curve + 30 + barHigh*float64(i)
		fmt.Fprintf(&b, `<text x="%.0f" y="%.1f" class="tick" text-anchor="end">%s</text>`, left-6, rows[k.Kind]+barHigh-4, k.Kind)
	}
	for _, f := range r.Rounds {
		class := "fault"
		if f.Void {
			class = "void"
		}
		begin, lifted, end := x(f.Began), x(f.Lifted), x(f.Recovered)
		fmt.Fprintf(&b, `<g class="%s"><title>round %d: %s of %s&#10;%s&#10;stall %s</title><rect x="%.1f" y="%.1f" width="%.1f" height="%.1f"/><rect class="recovery" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/></g>`,
			class, f.Number, f.Kind, template.HTMLEscapeString(f.Target), template.HTMLEscapeString(f.Evidence), seconds(f.Stall),
			begin, rows[f.Kind]+1, max(1.5, lifted-begin), barHigh-3, lifted, rows[f.Kind]+1, max(0, end-lifted), barHigh-3)
	}
	for _, f := range r.Findings {
		fmt.Fprintf(&b, `<line class="finding" x1="%.1f" x2="%.1f" y1="10" y2="%.1f"><title>%s</title></line>`, x(f.At), x(f.At), high-20, template.HTMLEscapeString(f.Check+": "+f.Detail))
	}
	for _, share := range []float64{0, 0.25, 0.5, 0.75, 1} {
		anchor := "middle"
		if share == 1 {
			anchor = "end"
		}
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" class="tick" text-anchor="%s">%s</text>`, left+(wide-left-10)*share, high-4, anchor, time.Duration(share*total*float64(time.Second)).Round(time.Second))
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// stallPlot draws the stall of every round that was alone, on a logarithmic scale, a row for each kind, with its goal.
func (r *Result) stallPlot() template.HTML {
	kinds := slices.DeleteFunc(slices.Clone(r.Kinds), func(s Score) bool { return s.Alone == 0 })
	if len(kinds) == 0 {
		return `<p>No fault was alone: run with <code>LANES=1</code> to see the stalls of each.</p>`
	}
	slices.SortStableFunc(kinds, func(a, b Score) int { return cmp.Compare(a.P50, b.P50) })
	const least, most = 0.05, 60.0
	x := func(d time.Duration) float64 {
		return left + (wide-left-30)*math.Log(min(most, max(least, d.Seconds()))/least)/math.Log(most/least)
	}
	high := 20 + barHigh*1.3*float64(len(kinds)) + 24
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %.0f %.0f" role="img" aria-label="stalls by kind of fault">`, wide, high)
	for _, s := range []float64{0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 60} {
		at := x(time.Duration(s * float64(time.Second)))
		fmt.Fprintf(&b, `<line class="grid" x1="%.1f" x2="%.1f" y1="10" y2="%.1f"/><text x="%.1f" y="%.1f" class="tick" text-anchor="middle">%g s</text>`, at, at, high-24, at, high-8, s)
	}
	for i, k := range kinds {
		y := 20 + barHigh*1.3*float64(i)
		fmt.Fprintf(&b, `<text x="%.0f" y="%.1f" class="tick" text-anchor="end">%s</text>`, left-6, y+4, k.Kind)
		for _, f := range r.Rounds {
			if f.Kind == k.Kind && f.Alone && !f.Void {
				fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3"><title>round %d of %s: %s</title></circle>`, x(f.Stall), y, f.Number, template.HTMLEscapeString(f.Target), seconds(f.Stall))
			}
		}
		if k.Within > 0 {
			fmt.Fprintf(&b, `<line class="goal" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"><title>goal %s</title></line>`, x(k.Within), x(k.Within), y-7, y+7, seconds(k.Within))
		}
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}
