package drift

import (
	"hash/maphash"
	"math"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mlmonitor/mlmonitor/schemas"
)

// Quality counts which quality rules records were held to, and which they broke. A process has one for all its members.
type Quality struct {
	rules []schemas.Rule

	mu    sync.Mutex
	total QualityCounts
}

// QualityCounts are those of a batch that has not committed, or of all that have.
type QualityCounts struct {
	Records int64   // with a verdict or without
	Scored  int64   // with one
	Refused []int64 // by rule: records without a verdict because of it
	Broken  []int64 // by rule: all that broke it, those among them
}

// NewQuality starts at 0.
func NewQuality(rules []schemas.Rule) *Quality {
	return &Quality{rules: rules, total: newQualityCounts(rules)}
}

func newQualityCounts(rules []schemas.Rule) QualityCounts {
	return QualityCounts{Refused: make([]int64, len(rules)), Broken: make([]int64, len(rules))}
}

// NewCounts are all 0.
func (q *Quality) NewCounts() *QualityCounts {
	c := newQualityCounts(q.rules)
	return &c
}

// Reset forgets what was counted.
func (c *QualityCounts) Reset() {
	c.Records, c.Scored = 0, 0
	clear(c.Refused)
	clear(c.Broken)
}

// AddRefused counts a record without a verdict; rule is negative where no rule refused it.
func (c *QualityCounts) AddRefused(rule int) {
	c.Records++
	if rule >= 0 {
		c.Refused[rule]++
		c.Broken[rule]++
	}
}

// AddScored counts a record with a verdict, and the rules that it breaks all the same.
func (c *QualityCounts) AddScored(broken []int) {
	c.Records++
	c.Scored++
	for _, rule := range broken {
		c.Broken[rule]++
	}
}

// Checks is how many records were held to a rule: those that no other rule had refused before.
func (c *QualityCounts) Checks(rule int) int64 {
	if rule == 0 { // of type, which comes first
		return c.Records
	}
	return c.Scored + c.Refused[rule]
}

// Add adds counts under the same rules.
func (c *QualityCounts) Add(d *QualityCounts) {
	c.Records += d.Records
	c.Scored += d.Scored
	for i := range c.Broken {
		c.Refused[i] += d.Refused[i]
		c.Broken[i] += d.Broken[i]
	}
}

// Commit adds what a batch counted, when its transaction has committed.
func (q *Quality) Commit(c *QualityCounts) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.total.Add(c)
}

// Total is a copy of what was counted since the start.
func (q *Quality) Total() QualityCounts {
	q.mu.Lock()
	defer q.mu.Unlock()
	c := newQualityCounts(q.rules)
	c.Add(&q.total)
	return c
}

// Memory holds the records of one member to the rules that look at many: it knows the last ids and keys, as many as each rule says, by hashes of 64 bits. What a batch
// brings is remembered for good when it commits. It is not for concurrent use.
type Memory struct {
	rules  []schemas.Rule
	seed   maphash.Seed
	recent []recent // of each rule of rules
	index  []int    // of each rule of rules, in the contract's
}

// recent are the values of the last keys: between limit and twice that.
type recent struct {
	limit                int
	now, before, pending map[uint64]float64
}

// NewMemory is nil where no rule needs it.
func NewMemory(rules []schemas.Rule) *Memory {
	m := &Memory{seed: maphash.MakeSeed()}
	for i, r := range rules {
		if r.Kind == schemas.RuleDuplicates || r.Kind == schemas.RuleSequence {
			m.rules, m.index = append(m.rules, r), append(m.index, i)
			m.recent = append(m.recent, recent{limit: r.Memory, now: map[uint64]float64{}, before: map[uint64]float64{}, pending: map[uint64]float64{}})
		}
	}
	if m.rules == nil {
		return nil
	}
	return m
}

// Check adds the rules that a transaction breaks to broken.
func (m *Memory) Check(tx *schemas.Transaction, row []float64, broken []int) []int {
	for i := range m.rules {
		r, known := &m.rules[i], &m.recent[i]
		subject, value := tx.ID, 0.0
		if r.Kind == schemas.RuleSequence {
			subject = tx.Key
			if value = float64(tx.Time.UnixMilli()); r.Feature >= 0 {
				value = row[r.Feature]
			}
			if value != value {
				continue // missing: another rule's
			}
		}
		hash := maphash.Bytes(m.seed, subject)
		last, seen := known.get(hash)
		if seen && (r.Kind == schemas.RuleDuplicates || value < last) {
			broken = append(broken, m.index[i])
			value = max(value, last)
		}
		known.pending[hash] = value
	}
	return broken
}

func (r *recent) get(hash uint64) (value float64, ok bool) {
	for _, m := range [...]map[uint64]float64{r.pending, r.now, r.before} {
		if value, ok = m[hash]; ok {
			return value, true
		}
	}
	return 0, false
}

// Commit keeps what the batch brought.
func (m *Memory) Commit() {
	for i := range m.recent {
		r := &m.recent[i]
		for hash, value := range r.pending {
			if r.now[hash] = value; len(r.now) >= r.limit {
				r.now, r.before = r.before, r.now
				clear(r.now)
			}
		}
		clear(r.pending)
	}
}

// Abort forgets the batch: its records come again.
func (m *Memory) Abort() {
	for i := range m.recent {
		clear(m.recent[i].pending)
	}
}

// qualityCollector shows Quality to Prometheus.
type qualityCollector struct {
	quality                         *Quality
	labels                          []string
	checks, failures, limit, volume *prometheus.Desc
}

// Collector shows the counts under the bundle's version and digest. All series are there from the start, four a rule at most.
func (q *Quality) Collector(version, digest string) prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append(labels, "model_version", "bundle"), nil)
	}
	return &qualityCollector{quality: q, labels: []string{version, ShortDigest(digest)},
		checks:   desc("fraud_quality_checks_total", "Records that were held to a quality rule of the contract, counted when their Kafka transaction committed.", "rule", "severity"),
		failures: desc("fraud_quality_failures_total", "Records that broke it.", "rule", "severity"),
		limit:    desc("fraud_quality_limit_ratio", "Share of records that may break the rule, where the contract says one.", "rule"),
		volume:   desc("fraud_quality_volume_limit", "Transactions a second over all replicas that the contract expects at least and at most.", "bound")}
}

// Describe is of prometheus.Collector.
func (c *qualityCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.checks, c.failures, c.limit, c.volume} {
		ch <- d
	}
}

// Collect is of prometheus.Collector.
func (c *qualityCollector) Collect(ch chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, kind, v, append(slices.Clone(labels), c.labels...)...)
	}
	total := c.quality.Total()
	for i, r := range c.quality.rules {
		if r.Kind == schemas.RuleVolume {
			for bound, v := range map[string]float64{"min": r.Min, "max": r.Max} {
				if !math.IsInf(v, 0) {
					send(c.volume, prometheus.GaugeValue, v, bound)
				}
			}
			continue
		}
		send(c.checks, prometheus.CounterValue, float64(total.Checks(i)), r.Name, string(r.Severity))
		send(c.failures, prometheus.CounterValue, float64(total.Broken[i]), r.Name, string(r.Severity))
		if !math.IsNaN(r.Limit) {
			send(c.limit, prometheus.GaugeValue, r.Limit, r.Name)
		}
	}
}
