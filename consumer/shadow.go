package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/scorer"
)

// shadow scores the champion's inputs under the challenger too, after the champion has answered them. Its verdicts go to a topic of their own in the same transaction, and decide
// nothing. It may use so much time as Config.ShadowBudget of the champion's; what is over is left out, and counted. Whatever fails in it turns it off for a while.
type shadow struct {
	bundle *scorer.Bundle
	scorer *scorer.Scorer
	digest []byte

	records []kgo.Record
	payload []byte
	headers []kgo.RecordHeader
	count   shadowCount
	done    func(*kgo.Record, error)
	failed  atomic.Pointer[error]
}

// shadowAtOnce is how many inputs are scored between two looks at the clock.
const shadowAtOnce = 128

// shadowPause is how long a challenger that failed is left alone.
const shadowPause = time.Minute

func newShadow(b *scorer.Bundle) *shadow {
	s := &shadow{bundle: b, scorer: b.NewScorer(), digest: []byte(b.ID.Digest)}
	s.done = func(_ *kgo.Record, err error) {
		if err != nil {
			failure := err
			s.failed.CompareAndSwap(nil, &failure)
		}
	}
	return s
}

// admission looks, beside the work, whether a challenger can be published: whether its topic is there, and has the partitions of the input.
type admission struct {
	of   *scorer.Bundle
	done chan struct{} // closed when it is known
	err  error         // valid then
}

// admissionTimeout bounds what the brokers may take to say so.
const admissionTimeout = 5 * time.Second

func admit(ctx context.Context, b *scorer.Bundle, cl *kgo.Client, topics *kafka.Config) *admission {
	a := &admission{of: b, done: make(chan struct{})}
	go func() {
		defer close(a.done)
		ctx, cancel := context.WithTimeout(ctx, admissionTimeout)
		defer cancel()
		inputs, err := kafka.PartitionCount(ctx, cl, topics.Transactions)
		if err == nil {
			var n int
			if n, err = kafka.PartitionCount(ctx, cl, topics.Shadow); err == nil && n < inputs {
				err = fmt.Errorf("topic %s has %d partitions, %s has %d: run `mlmonitor topics` to grow it", topics.Shadow, n, topics.Transactions, inputs)
			}
		}
		a.err = err
	}()
	return a
}

// adoptChallenger takes the challenger that is there now, once its topic is known to be.
func (s *session) adoptChallenger(ctx context.Context) {
	b := s.force.Challenger
	if b == nil || s.topics.Shadow == "" {
		if s.shadow != nil {
			s.shadows.challenge(nil)
		}
		s.shadow, s.admission = nil, nil
		return
	}
	if s.shadow != nil && s.shadow.bundle == b || s.shadows.off() {
		return
	}
	s.shadow = nil
	if s.admission == nil || s.admission.of != b {
		s.admission = admit(ctx, b, s.txn.Client(), s.topics)
	}
	select {
	case <-s.admission.done:
	default:
		return
	}
	err := s.admission.err
	s.admission = nil
	if err != nil {
		s.shadows.fail(err)
		return
	}
	s.shadow = newShadow(b)
	s.shadows.challenge(b)
	s.log.Info("a challenger is in the champion's shadow", "bundle", b.ID.Name, "version", b.ID.Version, "digest", b.ID.Digest)
}

// decided is what was made of an input: a probability and a decision, or none.
type decided struct {
	probability float64 // NaN: it is a dead letter
	decision    schemas.Decision
	byChampion  bool // a canary decided otherwise
}

// answer scores the inputs that the champion gave a verdict, in order, while there is time, and sends what comes of it. The champion's answers are sent already.
func (s *shadow) answer(ctx context.Context, b *batch, champion []decided, budget time.Duration, topic string, send func(*kgo.Record)) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the challenger panics: %v", p)
		}
	}()
	s.failed.Store(nil)
	s.count.reset()
	s.records, s.payload, s.headers = s.records[:0], s.payload[:0], s.headers[:0]
	if cap(s.records) < b.records {
		s.records = make([]kgo.Record, 0, b.records) // now: the client keeps pointers to them
	}
	begin, at := time.Now(), 0
	var inputs []*kgo.Record
	var of []decided
	flush := func() error {
		outcomes, err := s.scorer.Score()
		if err != nil {
			return err
		}
		for i := range outcomes {
			if err := s.add(inputs[i], &outcomes[i], of[i], topic, send); err != nil {
				return err
			}
		}
		s.scorer.Reset()
		inputs, of = inputs[:0], of[:0]
		return nil
	}
	s.scorer.Reset()
	for _, run := range b.runs {
		for _, in := range run.inputs {
			c := champion[at]
			at++
			if math.IsNaN(c.probability) || !c.byChampion {
				continue
			}
			if len(inputs) == shadowAtOnce {
				if err := flush(); err != nil {
					return err
				}
			}
			if time.Since(begin) > budget {
				s.count.skipped++
				continue
			}
			s.scorer.Add(in.Value, in.Timestamp)
			inputs, of = append(inputs, in), append(of, c)
		}
	}
	return flush()
}

func (s *shadow) add(in *kgo.Record, o *scorer.Outcome, champion decided, topic string, send func(*kgo.Record)) (err error) {
	if o.Err != nil {
		s.count.refused++
		return nil
	}
	s.records = s.records[:len(s.records)+1]
	out := &s.records[len(s.records)-1]
	o.Verdict.Source = schemas.Source{Topic: in.Topic, Partition: in.Partition, Offset: in.Offset}
	start := len(s.payload)
	if s.payload, err = o.Verdict.Append(s.payload); err != nil {
		return err
	}
	s.headers = producer.SetVerdict(out, in, topic, s.payload[start:len(s.payload):len(s.payload)], s.digest, s.headers)
	s.count.add(champion, &o.Verdict)
	send(out)
	return nil
}

// shadowCount is what a transaction's shadow came to.
type shadowCount struct {
	pairs            []pair
	skipped, refused int64
}

func (c *shadowCount) reset() { *c = shadowCount{pairs: c.pairs[:0]} }

// pair is what champion and challenger made of an input.
type pair struct{ champion, challenger decided }

func (c *shadowCount) add(champion decided, v *schemas.Verdict) {
	c.pairs = append(c.pairs, pair{champion, decided{probability: v.Probability, decision: v.Decision}})
}

// shadowBooks is what a process counts of its challengers, when transactions have committed.
type shadowBooks struct {
	log       *slog.Logger
	decisions *prometheus.CounterVec // champion, challenger
	distance  prometheus.Histogram
	skipped   *prometheus.CounterVec // by reason
	info      *prometheus.GaugeVec

	mu      sync.Mutex
	pairs   *drift.Pairs // since this challenger is there
	paused  time.Time
	current *scorer.Bundle
}

func newShadowBooks(reg prometheus.Registerer, log *slog.Logger) *shadowBooks {
	s := &shadowBooks{log: log,
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "fraud_shadow_decisions_total",
			Help: "Transactions that the challenger scored too, by what the champion decided and what the challenger would have."}, []string{"champion", "challenger"}),
		distance: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "fraud_shadow_distance", Help: "Difference of the two probabilities, 0 to 1.",
			Buckets: []float64{0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.5, 1}}),
		skipped: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mlmonitor_shadow_skipped_total",
			Help: "Transactions that the challenger did not score, by reason: budget (no time left), refused (it gives no score), failed (it was turned off)."}, []string{"reason"}),
		info:  prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "mlmonitor_challenger_info", Help: "1 for the bundle in the champion's shadow."}, []string{"name", "version", "digest"}),
		pairs: drift.NewPairs()}
	for _, a := range drift.Decisions {
		for _, b := range drift.Decisions {
			s.decisions.WithLabelValues(string(a), string(b))
		}
	}
	for _, reason := range []string{"budget", "refused", "failed"} {
		s.skipped.WithLabelValues(reason)
	}
	reg.MustRegister(s.decisions, s.distance, s.skipped, s.info, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "fraud_shadow_psi",
		Help: "Population stability index of the challenger's probabilities against the champion's, since this challenger is there; NaN without any."}, s.psi))
	return s
}

func (s *shadowBooks) psi() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pairs.PSI()
}

// challenge begins anew with another challenger, or with none; members take it one after the other.
func (s *shadowBooks) challenge(b *scorer.Bundle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == b {
		return
	}
	s.current = b
	s.pairs = drift.NewPairs()
	s.paused = time.Time{}
	s.info.Reset()
	if b == nil {
		return
	}
	s.info.WithLabelValues(b.ID.Name, b.ID.Version, b.ID.Digest).Set(1)
}

// fail turns the challenger off for a while.
func (s *shadowBooks) fail(err error) {
	s.log.Error("the challenger is left alone for a while, the champion decides on", "error", err, "for", shadowPause.String())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused = time.Now().Add(shadowPause)
}

func (s *shadowBooks) off() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.paused)
}

// commit counts a transaction's.
func (s *shadowBooks) commit(c *shadowCount) {
	s.skipped.WithLabelValues("budget").Add(float64(c.skipped))
	s.skipped.WithLabelValues("refused").Add(float64(c.refused))
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range c.pairs {
		s.decisions.WithLabelValues(string(p.champion.decision), string(p.challenger.decision)).Inc()
		s.distance.Observe(math.Abs(p.champion.probability - p.challenger.probability))
		s.pairs.Add(drift.Place(p.champion.decision), drift.Place(p.challenger.decision), p.champion.probability, p.challenger.probability)
	}
}

// errShadow marks a failure of the challenger: the transaction is done again without it.
var errShadow = errors.New("the challenger's verdict could not be published")
