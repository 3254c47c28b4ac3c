package drift

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"
)

// Collector shows a monitor to Prometheus. All series are there from the start: features × bins twice, and some ten a feature.
type Collector struct {
	monitor *Monitor
	labels  [2]string // version of the bundle, first digits of its digest

	bins, placed, share, observations, design, variance, between, horizon, spread, tail, tested, psi, critical, window, end *prometheus.Desc
}

// NewCollector shows m under the bundle's version and digest, of which the first 12 digits are shown.
func NewCollector(m *Monitor, version, digest string) *Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append(labels, "model_version", "bundle"), nil)
	}
	feature := func(name, help string) *prometheus.Desc { return desc(name, help, "feature") }
	return &Collector{monitor: m, labels: [2]string{version, ShortDigest(digest)},
		bins:         desc("fraud_feature_bin_total", "Scored transactions by feature and bin of the profile, counted when their Kafka transaction committed.", "feature", "bin"),
		placed:       desc("fraud_drift_events_total", "The same by where they fell in event time: on_time, late (an older window), too_late, early (both in no window).", "placement"),
		share:        desc("fraud_reference_bin_share", "Share of each bin in the profile.", "feature", "bin"),
		observations: feature("fraud_reference_observations", "Transactions of the profile."),
		design:       feature("fraud_reference_design_effect", "How much larger the variance of a window is than that of independent transactions, however short."),
		variance:     feature("fraud_reference_null_variance", "Variance that the profile's own sample has; 1 over its transactions if those are independent."),
		between:      feature("fraud_reference_window_variance", "Variance between windows that longer ones do not take away before they reach the horizon; 0 of independent transactions."),
		horizon:      feature("fraud_reference_horizon_observations", "Transactions of a window from where that falls; infinite where it never does."),
		spread:       feature("fraud_reference_spread_ratio", "Second moment of the law of PSI without drift; 1 of independent transactions."),
		tail:         feature("fraud_reference_tail_ratio", "Third moment of the law of PSI without drift; 1 of independent transactions."),
		tested:       feature("fraud_reference_tested", "1, or 0 for features that are counted and shown, but not tested, such as the hour of the day."),
		psi:          feature("fraud_drift_psi", "Population stability index of the last whole event-time window as this process saw it. No series without transactions."),
		critical:     feature("fraud_drift_psi_critical", "What chance alone exceeds in any tested feature of such a window with probability 0.01."),
		window:       feature("fraud_drift_window_observations", "Transactions of this process in that window."),
		end:          desc("fraud_drift_window_end_timestamp_seconds", "Event time at which that window ended, Unix seconds."),
	}
}

// ShortDigest is how a bundle is called in labels.
func ShortDigest(digest string) string {
	const prefix, digits = len("sha256:"), 12
	if len(digest) < prefix+digits {
		return digest
	}
	return digest[prefix : prefix+digits]
}

// Describe is of prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.bins, c.placed, c.share, c.observations, c.design, c.variance, c.between, c.horizon, c.spread, c.tail, c.tested, c.psi, c.critical, c.window, c.end} {
		ch <- d
	}
}

// Collect is of prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		if !math.IsNaN(v) {
			ch <- prometheus.MustNewConstMetric(d, kind, v, append(labels, c.labels[:]...)...)
		}
	}
	total, placed := c.monitor.Total()
	for p, n := range placed {
		send(c.placed, prometheus.CounterValue, float64(n), Placement(p).String())
	}
	for i := range c.monitor.profile.Features {
		r := &c.monitor.profile.Features[i]
		counts := total.Of(i)
		for j, bin := range r.Bins() {
			send(c.bins, prometheus.CounterValue, float64(counts[j]), r.Name, bin)
			send(c.share, prometheus.GaugeValue, float64(r.Counts[j])/float64(c.monitor.profile.Observations), r.Name, bin)
		}
		tested := 1.0
		if r.Untested {
			tested = 0
		}
		horizon := r.Horizon
		if horizon == 0 {
			horizon = math.Inf(1)
		}
		for _, g := range []struct {
			d *prometheus.Desc
			v float64
		}{{c.observations, float64(c.monitor.profile.Observations)}, {c.design, r.DesignEffect}, {c.variance, r.Variance}, {c.between, r.WindowVariance}, {c.horizon, horizon}, {c.spread, r.SpreadRatio}, {c.tail, r.TailRatio}, {c.tested, tested}} {
			send(g.d, prometheus.GaugeValue, g.v, r.Name)
		}
	}
	window, looked := c.monitor.Look()
	for i := range looked.Results {
		r := &looked.Results[i]
		send(c.psi, prometheus.GaugeValue, r.PSI, r.Feature)
		send(c.critical, prometheus.GaugeValue, r.Critical, r.Feature)
		send(c.window, prometheus.GaugeValue, r.Observations, r.Feature)
	}
	if !window.To.IsZero() {
		send(c.end, prometheus.GaugeValue, float64(window.To.Unix()))
	}
}
