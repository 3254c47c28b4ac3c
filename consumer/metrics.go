package consumer

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/scorer"
)

// metrics of the scoring loop. What stands for records is counted after their transaction committed, so replicas add up to the topics.
type metrics struct {
	predictions  *prometheus.CounterVec // by decision and the bundle's version
	deadLetters  *prometheus.CounterVec // by class
	transactions *prometheus.CounterVec // by outcome: commit, abort, unknown
	restarts     prometheus.Counter
	adoptions    prometheus.Counter
	scoring      prometheus.Histogram
	latency      prometheus.Histogram
	batch        prometheus.Histogram
	lag          *prometheus.GaugeVec // by partition
	lagSeconds   *prometheus.GaugeVec // by partition
	halted       *prometheus.GaugeVec // by member
	ratio        *prometheus.GaugeVec // by member
	txnVersion   prometheus.Gauge
	bundle       *prometheus.GaugeVec
	canary       *prometheus.GaugeVec
	replies      *prometheus.CounterVec // by outcome: sent, lost
	trained      *prometheus.GaugeVec
}

// objective is what a verdict may take, in seconds: the latency histograms have a bucket that ends there, so that the share within it is exact.
const objective = 0.1

// buckets are exponential, and one ends at the objective.
func buckets(start, factor float64, count int) []float64 {
	all := append(prometheus.ExponentialBuckets(start, factor, count), objective)
	slices.Sort(all)
	return all
}

func newMetrics(reg prometheus.Registerer, models *Models) *metrics {
	m := &metrics{
		predictions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "fraud_predictions_total",
			Help: "Verdicts committed, by decision and the bundle's version."}, []string{"decision", "model_version"}),
		deadLetters: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mlmonitor_dead_letters_total",
			Help: "Inputs committed to the dead-letter topic, by reason class."}, []string{"class"}),
		transactions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mlmonitor_kafka_transactions_total",
			Help: "Kafka transactions ended, by outcome. Aborts are normal in a rebalance: their records are scored again. Unknown: the brokers did not say; its verdicts, if they stand, are not in the counters."}, []string{"outcome"}),
		restarts: prometheus.NewCounter(prometheus.CounterOpts{Name: "mlmonitor_consumer_restarts_total",
			Help: "Times the client was made anew after a failure."}),
		adoptions: prometheus.NewCounter(prometheus.CounterOpts{Name: "mlmonitor_consumer_adoptions_total",
			Help: "Times the group was balanced anew because partitions of the input topic had no reader."}),
		scoring: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "fraud_prediction_duration_seconds",
			Help: "Time to decode and score one transaction event: the mean of its batch, observed once a batch.", Buckets: buckets(1e-6, 2, 16)}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "mlmonitor_verdict_latency_seconds",
			Help: "From the input record's timestamp to the commit of its verdict, observed for the first record of each fetch of a partition.", Buckets: buckets(0.001, 2, 16)}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "mlmonitor_kafka_transaction_records",
			Help: "Input records of a Kafka transaction.", Buckets: prometheus.ExponentialBuckets(1, 4, 9)}),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "mlmonitor_consumer_lag_records",
			Help: "Input records not yet answered, by partition of this process."}, []string{"partition"}),
		lagSeconds: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "mlmonitor_consumer_lag_seconds",
			Help: "Age of the newest input answered while there are more, 0 when there are none, by partition of this process."}, []string{"partition"}),
		halted: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "mlmonitor_consumer_halted",
			Help: "1 while consumption is stopped because too many inputs would be dead letters, by member of this process."}, []string{"member"}),
		ratio: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "mlmonitor_consumer_dead_letter_ratio",
			Help: "Share of dead letters in the window, 0 to 1, with the batch last looked at, by member of this process."}, []string{"member"}),
		txnVersion: prometheus.NewGauge(prometheus.GaugeOpts{Name: "mlmonitor_kafka_transaction_version",
			Help: "Lowest transaction.version of the brokers; below 2 a crash may lose or double a verdict."}),
		bundle: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "mlmonitor_bundle_info",
			Help: "1 for the bundle in force."}, []string{"name", "version", "digest"}),
		canary: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "mlmonitor_canary_share",
			Help: "Share of the keys for which the challenger decides, 0 to 1."}, []string{"name", "version", "digest"}),
		replies: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mlmonitor_replies_total",
			Help: "Inputs that asked for a reply, by outcome: sent in the transaction of their answer, or lost, since there is no such partition or the topic failed; the answer stands all the same."}, []string{"outcome"}),
		trained: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "fraud_model_trained_timestamp_seconds",
			Help: "Event time of the newest transaction in the profile of the bundle in force, Unix seconds: how old its view of the world is."}, []string{"model_version", "bundle"}),
	}
	// A counter that first shows above zero has no increase for Prometheus: every label starts at 0.
	for _, c := range append(schemas.Classes(), scorer.ScoreNotFinite) {
		m.deadLetters.WithLabelValues(string(c))
	}
	for _, outcome := range []string{"sent", "lost"} {
		m.replies.WithLabelValues(outcome)
	}
	for _, outcome := range []string{"commit", "abort", "unknown"} {
		m.transactions.WithLabelValues(outcome)
	}
	reg.MustRegister(m.predictions, m.deadLetters, m.transactions, m.restarts, m.adoptions, m.scoring, m.latency, m.batch, m.lag, m.lagSeconds, m.halted, m.ratio, m.txnVersion, m.bundle, m.canary, m.replies, m.trained)
	force, _ := models.Current()
	m.force(force)
	return m
}

// force shows what is in force.
func (m *metrics) force(f *Force) {
	b := f.Champion
	m.bundle.Reset()
	m.trained.Reset()
	m.canary.Reset()
	m.bundle.WithLabelValues(b.ID.Name, b.ID.Version, b.ID.Digest).Set(1)
	if p := b.Profile; p != nil && !p.To.IsZero() {
		m.trained.WithLabelValues(b.ID.Version, drift.ShortDigest(b.ID.Digest)).Set(float64(p.To.Unix()))
	}
	deciding := []string{b.ID.Version}
	if c := f.canary(); c != nil {
		m.canary.WithLabelValues(c.Bundle.Name, c.Bundle.Version, c.Bundle.Digest).Set(c.Share)
		deciding = append(deciding, c.Bundle.Version)
	}
	for _, version := range deciding {
		for _, d := range drift.Decisions {
			m.predictions.WithLabelValues(string(d), version)
		}
	}
}
