package audit

import (
	"fmt"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of an audit writer. What stands for records is counted after its commit, so replicas add up to the tables.
type metrics struct {
	rows, rejected, fenced, appendErrors, restarts, adoptions prometheus.Counter
	appending                                                 prometheus.Histogram
	lag, lagSeconds                                           *prometheus.GaugeVec // by partition
	lost                                                      prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		rows:         counter("mlmonitor_audit_rows_total", "Verdicts written to the audit table."),
		rejected:     counter("mlmonitor_audit_rejected_total", "Records of the verdicts topic that are no verdicts, written to audit_rejects."),
		fenced:       counter("mlmonitor_audit_fenced_total", "Batches given up because another writer had moved the offsets."),
		appendErrors: counter("mlmonitor_audit_append_errors_total", "Database transactions that failed, or whose outcome is unknown; their records are read again."),
		restarts:     counter("mlmonitor_audit_restarts_total", "Times the writer read the stored offsets and joined the group anew after a failure."),
		adoptions:    counter("mlmonitor_audit_adoptions_total", "Times the group was balanced anew because partitions of the verdicts topic had no reader."),
		appending: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "mlmonitor_audit_append_duration_seconds",
			Help: "Time of one database transaction.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 15)}),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "mlmonitor_audit_lag_records",
			Help: "Offsets of the verdicts topic that are not in the database yet, by partition of this member."}, []string{"partition"}),
		lagSeconds: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "mlmonitor_audit_lag_seconds",
			Help: "Age of the newest verdict written while there are more, 0 when there are none, by partition of this member."}, []string{"partition"}),
		lost: prometheus.NewGauge(prometheus.GaugeOpts{Name: "mlmonitor_audit_lost_partitions",
			Help: "Partitions of this member whose next verdict is no longer in the topic."}),
	}
	for _, c := range []prometheus.Collector{m.rows, m.rejected, m.fenced, m.appendErrors, m.restarts, m.adoptions, m.appending, m.lag, m.lagSeconds, m.lost} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register the metrics of audit: %w", err)
		}
	}
	return m, nil
}

// forget a partition that is no longer ours: its lag is another member's to tell.
func (m *metrics) forget(partition int32) {
	label := strconv.Itoa(int(partition))
	m.lag.DeleteLabelValues(label)
	m.lagSeconds.DeleteLabelValues(label)
}

// reset forgets all partitions.
func (m *metrics) reset() {
	m.lag.Reset()
	m.lagSeconds.Reset()
	m.lost.Set(0)
}
