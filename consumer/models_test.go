package consumer

import (
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
func version(t *testing.T, n int) *scorer.Bundle {
	t.Helper()
	b := *loaded()
	b.ID = schemas.BundleID{Name: "sample", Version: fmt.Sprint(n), Digest: fmt.Sprintf("sha256:%064d", n)}
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
	whole, err := kafka.Whole(t.Context(), &c.topics, c.topics.Models)
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
	type change struct {
		from   int64
		digest string
	}
	told := map[int32][]change{}
	for _, e := range c.events(t) {
		if e.Topic != c.topics.Transactions || e.Reason == "" || e.Instance == "" {
			t.Errorf("event %+v", e)
		}
		for p, from := range e.Offsets {
			told[p] = append(told[p], change{from, e.Bundle.Digest})
		}
	}
	under := map[string]int{}
	for source, answers := range c.answers(t) {
		for _, a := range answers {
			v, err := schemas.ParseVerdict([]byte(a))
			if err != nil {
				continue // a dead letter
			}
			said := ""
			for _, one := range told[source.Partition] {
				if one.from <= source.Offset {
					said = one.digest
				}
			}
			under[v.Bundle.Version]++
			if v.Bundle.Digest != said {
				t.Fatalf("partition %d offset %d is under %s, told was %q: %v", source.Partition, source.Offset, v.Bundle.Digest, said, told[source.Partition])
			}
		}
	}
	return under
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

// A thousand bundles, one after the other, leave no counters and no memory behind.
func TestAThousandSwapsLeaveNothingBehind(t *testing.T) {
	reg := prometheus.NewRegistry()
	first := version(t, 0)
	m := newMetrics(reg, NewModels(first, ""))
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
		m.force(b)
		answers := newAnswers(&kafka.Config{Verdicts: "out", DeadLetters: "dlq"}, b, s.books(b))
		answers.books.commit(answers)
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
