// Command grafana builds the dashboards: plain descriptions of panels in, the JSON that Grafana provisions out. The Grafana Foundation SDK knows what Grafana reads.
package main

import (
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/barchart"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statushistory"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// board is one dashboard.
type board struct {
	file, title, about string
	variables          []variable
	rows               []row
}

// variable lets the reader choose values of a label.
type variable struct{ name, label, metric string }

type row struct {
	title  string
	panels []panel
}

// kind is how a panel shows its queries.
type kind int

const (
	lines   kind = iota
	stacked      // lines that add up
	number       // the last value, large
	heat         // a row a series, coloured by threshold over time
	bars         // instant values side by side, by a label
)

// panel is one of a dashboard. Width is in 24ths; a row's panels are 8 high, numbers 4.
type panel struct {
	kind               kind
	title, about, unit string
	width              uint32
	queries            []query
	steps              []step // thresholds, in the order of their values
	min, max           *float64
	by                 string // label, of bars
}

// query is in PromQL. The legend's {{label}} are filled in by Grafana.
type query struct{ expr, legend string }

// step is from where on a value has a colour.
type step struct {
	from  float64
	color string
}

func at(v float64) *float64 { return &v }

// source is the data source that the reader chose.
var source = common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr("${datasource}")}

// build makes the dashboard.
func (b board) build() (dashboard.Dashboard, error) {
	d := dashboard.NewDashboardBuilder("ML-Monitor: "+b.title).Uid("mlmonitor-"+b.file).Description(b.about).Tags([]string{"mlmonitor"}).
		Refresh("30s").Time("now-6h", "now").Timezone("utc").Readonly().Tooltip(dashboard.DashboardCursorSyncCrosshair).
		Link(dashboard.NewDashboardLinkBuilder("ML-Monitor").Type(dashboard.DashboardLinkTypeDashboards).Tags([]string{"mlmonitor"}).AsDropdown(true).KeepTime(true)).
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("data source").Type("prometheus"))
	for _, v := range b.variables {
		text := fmt.Sprintf("label_values(%s, %s)", v.metric, v.name)
		d.WithVariable(dashboard.NewQueryVariableBuilder(v.name).Label(v.label).Datasource(source).Query(dashboard.StringOrMap{String: &text}).
			Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Sort(dashboard.VariableSortAlphabeticalAsc).IncludeAll(true).AllValue(".*").Multi(true).
			Current(dashboard.VariableOption{Text: dashboard.StringOrArrayOfString{ArrayOfString: []string{"All"}}, Value: dashboard.StringOrArrayOfString{ArrayOfString: []string{"$__all"}}}))
	}
	for _, r := range b.rows {
		d.WithRow(dashboard.NewRowBuilder(r.title))
		for _, p := range r.panels {
			d.WithPanel(p.build())
		}
	}
	return d.Build()
}

func (p panel) targets() (all []cog.Builder[variants.Dataquery]) {
	for i, q := range p.queries {
		t := prometheus.NewDataqueryBuilder().Datasource(source).Expr(q.expr).LegendFormat(q.legend).RefId(string(rune('A' + i)))
		switch p.kind {
		case number:
			t.Instant()
		case bars:
			t.Instant().Format(prometheus.PromQueryFormatTable)
		default:
			t.Range()
		}
		all = append(all, t)
	}
	return all
}

func (p panel) thresholds() *dashboard.ThresholdsConfigBuilder {
	base := "green"
	if p.kind == lines && len(p.steps) == 0 {
		base = "transparent"
	}
	steps := []dashboard.Threshold{{Color: base}}
	for _, s := range p.steps {
		steps = append(steps, dashboard.Threshold{Value: &s.from, Color: s.color})
	}
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(steps)
}

// byThreshold colours a value by the steps.
func byThreshold() *dashboard.FieldColorBuilder {
	return dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdThresholds)
}

func (p panel) build() cog.Builder[dashboard.Panel] {
	const height, numberHeight = 8, 4
	switch p.kind {
	case number:
		b := stat.NewPanelBuilder().Title(p.title).Description(p.about).Unit(p.unit).Datasource(source).Targets(p.targets()).Span(p.width).Height(numberHeight).
			Thresholds(p.thresholds()).ColorScheme(byThreshold()).ColorMode(common.BigValueColorModeValue).GraphMode(common.BigValueGraphModeNone).NoValue("no data").
			ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"}))
		return b
	case heat:
		return statushistory.NewPanelBuilder().Title(p.title).Description(p.about).Unit(p.unit).Datasource(source).Targets(p.targets()).Span(p.width).Height(2 * height).
			Thresholds(p.thresholds()).ColorScheme(byThreshold()).ShowValue(common.VisibilityModeNever).MaxDataPoints(120).
			Legend(common.NewVizLegendOptionsBuilder().ShowLegend(true).DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).Calcs([]string{}))
	case bars:
		return barchart.NewPanelBuilder().Title(p.title).Description(p.about).Unit(p.unit).Datasource(source).Targets(p.targets()).Span(p.width).Height(height).
			Thresholds(p.thresholds()).
			WithTransformation(dashboard.DataTransformerConfig{Id: "joinByField", Options: map[string]any{"byField": p.by, "mode": "outer"}}).
			WithTransformation(dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{"excludeByName": map[string]any{"Time": true, "Time 1": true, "Time 2": true},
				"renameByName": map[string]any{"Value #A": p.queries[0].legend, "Value #B": p.queries[len(p.queries)-1].legend}}}).
			Legend(common.NewVizLegendOptionsBuilder().ShowLegend(true).DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).Calcs([]string{}))
	}
	b := timeseries.NewPanelBuilder().Title(p.title).Description(p.about).Unit(p.unit).Datasource(source).Targets(p.targets()).Span(p.width).Height(height).
		Thresholds(p.thresholds()).LineWidth(1).FillOpacity(8).ShowPoints(common.VisibilityModeNever).
		Legend(common.NewVizLegendOptionsBuilder().ShowLegend(true).DisplayMode(common.LegendDisplayModeTable).Placement(common.LegendPlacementBottom).Calcs([]string{"lastNotNull", "max"})).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
	if len(p.steps) > 0 {
		b.ThresholdsStyle(common.NewGraphThresholdsStyleConfigBuilder().Mode(common.GraphThresholdsStyleModeDashed))
	}
	if p.kind == stacked {
		b.Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal).Group("A")).FillOpacity(30)
	}
	if p.min != nil {
		b.Min(*p.min)
	}
	if p.max != nil {
		b.Max(*p.max)
	}
	return b
}
