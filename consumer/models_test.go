package consumer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mlmonitor/mlmonitor/bundles"
	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/scorer"
)

// version is the sample under another name, and so with another digest.
func version(t testing.TB, n int) *scorer.Bundle {
	t.Helper()
	b := *loaded()
	b.ID = schemas.BundleID{Name: "sample", Version: fmt.Sprint(n), Digest: fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(fmt.Sprint(n))))}
	return &b
}

var loaded = sync.OnceValue(func() *scorer.Bundle {
	b, err := scorer.LoadBundle(bundles.Sample(), scorer.Auto)
	if err != nil {
		panic(err) // compiled in
	}
	return b
})

// events are those of the topic of models, in its order.
func (c *cluster) events(t *testing.T) (all []schemas.ModelEvent) {
	t.Helper()
	whole, err := kafka.Settled(t.Context(), &c.topics, c.topics.Models, settlePatience)
	if err != nil {
		t.Fatal(err)
	}
	err = kafka.Read(t.Context(), &c.topics, c.topics.Models, whole, func(r *kafka.Record) error {
		e, err := schemas.ParseModelEvent(r.Value)
		all = append(all, e)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// asTold makes sure that each verdict is under the bundle that the topic of models says was in force at its offset, and gives how many there are under each.
func (c *cluster) asTold(t *testing.T) map[string]int {
	t.Helper()
	told := schemas.NewTimeline(c.topics.Transactions)
	for _, e := range c.events(t) {
		if e.Topic != c.topics.Transactions || e.Reason == "" || e.Instance == "" {
			t.Errorf("event %+v", e)
		}
		told.Add(&e)
	}
	keys := c.keys(t)
	under := map[string]int{}
	for source, answers := range c.answers(t) {
		for _, a := range answers {
			v, err := schemas.ParseVerdict([]byte(a))
			if err != nil {
				continue // a dead letter
			}
			said, _ := told.At(source.Partition, source.Offset, keys[source])
			under[v.Bundle.Version]++
			if v.Bundle != said {
				t.Fatalf("partition %d offset %d is under %v, told was %v", source.Partition, source.Offset, v.Bundle, said)
			}
		}
	}
	return under
}

// keys are those of the inputs.
func (c *cluster) keys(t *testing.T) map[schemas.Source][]byte {
	t.Helper()
	whole, err := kafka.Settled(t.Context(), &c.topics, c.topics.Transactions, settlePatience)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[schemas.Source][]byte{}
	err = kafka.Read(t.Context(), &c.topics, c.topics.Transactions, whole, func(r *kafka.Record) error {
		keys[schemas.Source{Topic: c.topics.Transactions, Partition: r.Partition, Offset: r.Offset}] = bytes.Clone(r.Key)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// aSwapIsBetweenTransactionsAndTold swaps again and again under load, forwards and back, while members come and go.
func aSwapIsBetweenTransactionsAndTold(t *testing.T, c *cluster) {
	cfg := c.config("a")
	cfg.TxnMaxRecords = 100
	first := c.start(t, cfg, version(t, 1))
	rng := rand.New(rand.NewPCG(1, 2))
	sent := uint64(0)
	more := func(n uint64) {
		c.send(t, sent, n, 0.01)
		sent += n
	}
	more(500)
	c.answered(t, 500)
	members := []*running{first}
	for n := 2; n <= 12; n++ {
		b := version(t, 1+rng.IntN(n))
		for _, m := range members {
			m.models.Set(b, fmt.Sprintf("swap %d", n))
		}
		more(200)
		if n == 5 {
			cfg.Instance = "b"
			members = append(members, c.start(t, cfg, b))
		}
		if n == 9 {
			if err := first.end(t); err != nil {
				t.Fatal(err)
			}
			members = members[1:]
		}
		time.Sleep(time.Duration(rng.IntN(60)) * time.Millisecond)
		if n%3 == 0 { // who scores slowly has verdicts under 1, 3 and 4 too
			c.answered(t, int(sent))
		}
	}
	c.answered(t, int(sent))
	if under := c.asTold(t); len(under) < 3 {
		t.Errorf("verdicts under %v: the swaps changed too little; %+v", under, c.events(t))
	}
}

// anIdleMemberTellsOfASwap: nothing is to be scored, and all see that the bundle is another all the same.
func anIdleMemberTellsOfASwap(t *testing.T, c *cluster) {
	m := c.start(t, c.config("a"), version(t, 1))
	c.send(t, 0, 60, 0)
	c.answered(t, 60)
	before := len(c.events(t))
	m.models.Set(version(t, 2), "nothing is to be scored")
	eventually(t, "every member says that it has version 2", func() bool {
		told := map[string]bool{}
		for _, e := range c.events(t)[before:] {
			if e.Bundle.Version == "2" && e.Previous == version(t, 1).ID.Digest && e.Reason == "nothing is to be scored" && len(e.Offsets) == 0 {
				told[e.Instance] = true
			}
		}
		return len(told) == c.members
	})
	c.send(t, 60, 60, 0)
	c.answered(t, 120)
	if under := c.asTold(t); under["1"] != 60 || under["2"] != 60 {
		t.Errorf("verdicts under %v", under)
	}
}

// aPromotionWaitsForTheFirstScorer: who promotes before anybody scores is told so, and is done when somebody has the bundle, if without an input.
func aPromotionWaitsForTheFirstScorer(t *testing.T, c *cluster) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	nobody, done := make(chan []string, 100), make(chan error, 1)
	go func() {
		done <- WaitForBundle(ctx, &c.topics, c.group, func(e *schemas.ModelEvent) bool { return e.Bundle == version(t, 1).ID }, func(missing []string) { nobody <- missing })
	}()
	if missing := <-nobody; !slices.Equal(missing, []string{"(nobody scores)"}) {
		t.Errorf("it waits for %v", missing)
	}
	c.start(t, c.config("a"), version(t, 1))
	if err := <-done; err != nil { // though nothing was scored
		t.Error(err)
	}
}

// aCanaryDecidesForItsKeysAndIsTold: for a share of the keys the challenger decides, from an offset that is told until another; of the others it has the shadow.
func aCanaryDecidesForItsKeysAndIsTold(t *testing.T, c *cluster) {
	c.topics.Shadow = c.group + ".shadow"
	layOut(t, c)
	cfg := c.config("a")
	cfg.ShadowBudget = 1000
	m := c.start(t, cfg, version(t, 1))
	c.send(t, 0, 300, 0)
	c.answered(t, 300)
	m.models.SetChallenger(version(t, 2), 0.3, "a canary for three in ten")
	shadowed(t, m)
	c.send(t, 300, 1500, 0.02)
	c.answered(t, 1800)
	under := c.asTold(t)
	if n := under["2"]; n < 150 || n > 750 { // 50 customers
		t.Errorf("the canary has %d of 1500: %v", n, under)
	}
	if shown := testutil.ToFloat64(m.members[0].metrics.canary.WithLabelValues("sample", "2", version(t, 2).ID.Digest)); shown != 0.3 {
		t.Errorf("its share is shown as %v", shown)
	}
	eventually(t, "what each decided is counted", func() bool {
		return predicted(m, "1") == float64(under["1"]) && predicted(m, "2") == float64(under["2"])
	})
	inShadow := c.shadowVerdicts(t)
	for source, answers := range c.answers(t) {
		if v, err := schemas.ParseVerdict([]byte(answers[0])); err == nil && v.Bundle.Version == "2" {
			if _, there := inShadow[source]; there {
				t.Fatalf("%v is decided by the canary, and in the shadow", source)
			}
		}
	}
	if len(inShadow) < 500 {
		t.Errorf("only %d are in the shadow", len(inShadow))
	}

	m.models.SetChallenger(version(t, 2), 0, "no canary any more")
	eventually(t, "all know of it", func() bool {
		last := map[string]schemas.ModelEvent{}
		for _, e := range c.events(t) {
			last[e.Instance] = e
		}
		for _, e := range last {
			if e.Canary != nil || e.Reason != "no canary any more" {
				return false
			}
		}
		return true
	})
	c.send(t, 1800, 500, 0)
	c.answered(t, 2300)
	if now := c.asTold(t); now["2"] != under["2"] {
		t.Errorf("after its end the canary decides on: %v, before %v", now, under)
	}
	m.models.SetChallenger(version(t, 2), 0.3, "the canary becomes champion")
	m.models.Set(version(t, 2), "promoted")
	if f, _ := m.models.Current(); f.Challenger != nil || f.canary() != nil {
		t.Errorf("a champion is its own challenger: %+v", f)
	}
}

// predicted is how many verdicts are counted under a version.
func predicted(m *running, version string) (n float64) {
	for _, d := range drift.Decisions {
		n += testutil.ToFloat64(m.members[0].metrics.predictions.WithLabelValues(string(d), version))
	}
	return n
}

// A thousand bundles, one after the other, leave no counters and no memory behind.
func TestAThousandSwapsLeaveNothingBehind(t *testing.T) {
	reg := prometheus.NewRegistry()
	first := version(t, 0)
	models := NewModels(first, "")
	m := newMetrics(reg, models)
	s := &shelf{cfg: drift.Defaults(), collector: &drift.Collectors{}, metrics: m, log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	reg.MustRegister(s.collector)
	s.books(first)
	heap := func() uint64 {
		runtime.GC()
		var now runtime.MemStats
		runtime.ReadMemStats(&now)
		return now.HeapAlloc
	}
	var early uint64
	for n := 1; n <= 1000; n++ {
		b := version(t, n)
		models.Set(b, "")
		models.SetChallenger(version(t, -n), 0.1*float64(n%2), "") // every second is a canary
		force, _ := models.Current()
		m.force(force)
		for _, d := range newAnswers(&kafka.Config{Verdicts: "out", DeadLetters: "dlq"}, force, s, newReplies(m, s.log)).deciders {
			d.commit()
		}
		if n == 100 {
			early = heap()
		}
	}
	if late := heap(); late > early+1<<20 {
		t.Errorf("the heap has %d bytes after 100 swaps, %d after 1,000", early, late)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]map[string]bool{}
	for _, f := range families {
		for _, series := range f.GetMetric() {
			for _, l := range series.GetLabel() {
				if l.GetName() == "model_version" {
					if versions[f.GetName()] == nil {
						versions[f.GetName()] = map[string]bool{}
					}
					versions[f.GetName()][l.GetValue()] = true
				}
			}
		}
	}
	for name, all := range versions {
		if len(all) > keptBooks || !all["1000"] {
			t.Errorf("%s has series of %v", name, slices.Sorted(maps.Keys(all)))
		}
	}
	if len(versions) < 10 {
		t.Errorf("only %d metrics name a version", len(versions))
	}
	if n := testutil.CollectAndCount(m.bundle); n != 1 {
		t.Errorf("%d bundles are in force", n)
	}
}
