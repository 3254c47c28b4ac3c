package reports

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"time"

	"github.com/mlmonitor/mlmonitor/drift"
)

//go:embed report.html
var page string

var tmpl = template.Must(template.New("report").Funcs(template.FuncMap{
	"short": short, "percent": percent, "count": count, "p": pvalue, "time": stamp, "class": class, "add": func(a, b int) int { return a + b },
	"share": func(v float64) Number { return Number(v) },
}).Parse(page))

// HTML writes the report as one file without scripts, and without anything from elsewhere.
func (r *Report) HTML(w io.Writer) error { return tmpl.Execute(w, view{r}) }

// view adds what only the page needs.
type view struct{ *Report }

// Alarms are the features that an alert would name.
func (v view) Alarms() (n int) {
	for _, f := range v.Features {
		if f.Level == drift.Severe || f.Level == drift.Warn || f.Level == drift.Small {
			n++
		}
	}
	return n
}

// BrokenRules are those that do not hold.
func (v view) BrokenRules() (n int) {
	for _, q := range v.Quality {
		if !q.Holds {
			n++
		}
	}
	return n
}

// Measures of a histogram in its own units.
const (
	chartWidth, chartHeight = 420.0, 120.0
	barGap                  = 0.2
)

// Bar is one bin of a histogram: where its two bars stand, and how high they are.
type Bar struct {
	Bin
	X, Width, RefY, RefH, CurX, CurY, CurH float64
}

// Bars lays a feature's histogram out.
func (f Feature) Bars() []Bar {
	most := 0.0
	for _, b := range f.Bins {
		most = max(most, b.ReferenceShare, zeroed(b.CurrentShare))
	}
	if most == 0 {
		most = 1
	}
	slot := chartWidth / float64(len(f.Bins))
	bars := make([]Bar, 0, len(f.Bins))
	for i, b := range f.Bins {
		width := slot * (1 - barGap) / 2
		x := float64(i)*slot + slot*barGap/2
		ref, cur := chartHeight*b.ReferenceShare/most, chartHeight*zeroed(b.CurrentShare)/most
		bars = append(bars, Bar{b, x, width, chartHeight - ref, ref, x + width, chartHeight - cur, cur})
	}
	return bars
}

func zeroed(n Number) float64 {
	if math.IsNaN(float64(n)) {
		return 0
	}
	return float64(n)
}

// Row is one feature's line of the time line.
type Row struct {
	Name  string
	Cells []Cell
}

// Cell is one stretch of it.
type Cell struct {
	Title, Class string
}

// Rows is the time line by feature, in the order of the ranking.
func (v view) Rows() []Row {
	place := map[string]int{}
	for i, name := range v.Order {
		place[name] = i
	}
	var rows []Row
	for _, f := range v.Features {
		row := Row{Name: f.Name}
		for _, s := range v.Timeline {
			i := place[f.Name]
			row.Cells = append(row.Cells, Cell{fmt.Sprintf("%s, %s: PSI %s, %s transactions, %s", f.Name, stamp(s.From), short(s.PSI[i]), count(s.Transactions), s.Levels[i]), class(s.Levels[i])})
		}
		rows = append(rows, row)
	}
	return rows
}

func short(n Number) string {
	v := float64(n)
	switch {
	case math.IsNaN(v):
		return "–"
	case math.IsInf(v, 1):
		return "∞"
	case math.IsInf(v, -1):
		return "−∞"
	case v > 0 && v < 0.00005:
		return "< 0.0001"
	case math.Abs(v) < 1:
		return fmt.Sprintf("%.4f", v)
	}
	return fmt.Sprintf("%.4g", v)
}

func pvalue(n Number) string {
	if v := float64(n); v == 0 {
		return "< 1e-300"
	} else if v > 0 && v < 0.001 {
		return fmt.Sprintf("%.0e", v)
	}
	return short(n)
}

func percent(n Number) string {
	if math.IsNaN(float64(n)) {
		return "–"
	}
	return fmt.Sprintf("%.2f %%", 100*float64(n))
}

// count groups digits by thousands.
func count(n int64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "\u202f" + text[i:]
	}
	return text
}

func stamp(t any) string {
	switch t := t.(type) {
	case time.Time:
		return t.UTC().Format("2006-01-02 15:04")
	case *time.Time:
		if t != nil {
			return stamp(*t)
		}
	}
	return "–"
}

// class is how a level is coloured.
func class(l drift.Level) string {
	switch l {
	case drift.Severe:
		return "severe"
	case drift.Warn:
		return "drift"
	case drift.Small:
		return "small"
	case drift.Stable:
		return "stable"
	}
	return "none"
}
