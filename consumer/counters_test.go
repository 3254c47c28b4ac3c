package consumer

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/kafka"
)

// countersOfReplicasAddUp: processes come and go, transactions are aborted, and what all of them counted of features and quality is what one count of the topic
// gives.
func countersOfReplicasAddUp(t *testing.T, c *cluster) {
	const inputs = 6000
	first := c.start(t, c.config("a"), sample(t))
	c.send(t, 0, inputs/3, 0.02)
	c.answered(t, inputs/3)
	second := c.start(t, c.config("b"), sample(t)) // its rebalance may abort what the first has open
	c.send(t, inputs/3, inputs/3, 0.02)
	c.answered(t, 2*inputs/3)
	if err := first.end(t); err != nil {
		t.Fatal(err)
	}
	c.send(t, 2*inputs/3, inputs/3, 0.02)
	c.answered(t, inputs)

	bundle := sample(t)
	s, monitor, quality := bundle.NewScorer(), drift.NewMonitor(bundle.Profile, drift.Defaults()), drift.NewQuality(bundle.Contract.Rules())
	batch, records := monitor.NewBatch(), quality.NewCounts()
	whole, err := kafka.Whole(t.Context(), &c.topics, c.topics.Transactions)
	if err != nil {
		t.Fatal(err)
	}
	err = kafka.Read(t.Context(), &c.topics, c.topics.Transactions, whole, func(in *kafka.Record) error {
		s.Reset()
		s.Add(in.Value, in.Timestamp)
		outcomes, err := s.Score()
		if err != nil {
			return err
		}
		batch.Add(s.Scored())
		if reason := outcomes[0].Err; reason != nil {
			records.AddRefused(reason.Rule)
		} else {
			records.AddScored(outcomes[0].Broken)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	monitor.Commit(batch)
	quality.Commit(records)
	one := prometheus.NewRegistry()
	one.MustRegister(drift.NewCollector(monitor, bundle.ID.Version, bundle.ID.Digest), quality.Collector(bundle.ID.Version, bundle.ID.Digest))

	want, got := counters(t, one), counters(t, first.metrics)
	for series, n := range counters(t, second.metrics) {
		got[series] += n
	}
	if want["fraud_quality_failures_total rule=type severity=dead-letter"] == 0 || want["fraud_feature_bin_total bin=approve feature=verdict.decision"] == 0 {
		t.Fatalf("nothing was counted: %v", want)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counters of the topic and of its readers differ (-topic +readers):\n%s", diff)
	}
}

// counters of drift and quality by name and labels. Where in event time a transaction fell is left out: that depends on the order of arrival.
func counters(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "fraud_feature_") && !strings.HasPrefix(f.GetName(), "fraud_quality_") {
			continue
		}
		for _, m := range f.GetMetric() {
			series := f.GetName()
			for _, l := range m.GetLabel() {
				if l.GetName() != "bundle" && l.GetName() != "model_version" {
					series += " " + l.GetName() + "=" + l.GetValue()
				}
			}
			all[series] = m.GetCounter().GetValue()
		}
	}
	maps.DeleteFunc(all, func(_ string, n float64) bool { return n == 0 })
	return all
}

func TestLatencyHistogramsHaveABucketAtTheObjective(t *testing.T) {
	reg := prometheus.NewRegistry()
	newMetrics(reg, NewModels(sample(t), ""))
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, f := range families {
		if f.GetName() != "fraud_prediction_duration_seconds" && f.GetName() != "mlmonitor_verdict_latency_seconds" {
			continue
		}
		for _, b := range f.GetMetric()[0].GetHistogram().GetBucket() {
			if b.GetUpperBound() == (100 * time.Millisecond).Seconds() {
				found++
			}
		}
	}
	if found != 2 {
		t.Errorf("%d of the 2 histograms have a bucket that ends at 0.1 s", found)
	}
}
