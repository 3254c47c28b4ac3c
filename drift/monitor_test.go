package drift

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"pgregory.net/rapid"
)

// small is a profile of a quantity, a feature of few whole values, one of values that are not, the probability and the decision.
func small(t testing.TB) *Profile {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	s := NewSample([]Column{{Name: "amount"}, {Name: "count"}, {Name: "odd"}})
	for i := range 20_000 {
		amount := math.Exp(rng.NormFloat64())
		if i%50 == 0 {
			amount = math.NaN()
		}
		err := s.Add([]float64{amount, float64(rng.IntN(6)), []float64{-1.5, 0, 1e10}[rng.IntN(3)]}, rng.Float64(), float64(rng.IntN(3)), "", time.UnixMilli(int64(i)*1000))
		if err != nil {
			t.Fatal(err)
		}
	}
	p, err := s.Profile(func(int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// strange are values that events may bring, and that nobody expects.
var strange = []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e308, -1e308, 0, math.Copysign(0, -1), 5e-324, 255, 256, 1 << 53, -1, 2.5, 3, math.MaxInt64, 1e10, -1.5}

// scored makes transactions of strange and of ordinary values.
func scored(rng *rand.Rand, n int, at func(i int) (event, record int64)) Scored {
	s := Scored{Width: 3}
	for i := range n {
		for range s.Width {
			v := rng.NormFloat64() * 3
			if rng.IntN(3) == 0 {
				v = strange[rng.IntN(len(strange))]
			}
			s.Rows = append(s.Rows, v)
		}
		s.Probabilities = append(s.Probabilities, rng.Float64())
		s.Decisions = append(s.Decisions, float64(rng.IntN(3)))
		event, record := at(i)
		s.Times, s.Timestamps = append(s.Times, event), append(s.Timestamps, record)
	}
	return s
}

// row gives the values of all columns of transaction i.
func (s Scored) row(i int) []float64 {
	return append(slices.Clone(s.Rows[i*s.Width:(i+1)*s.Width]), s.Probabilities[i], s.Decisions[i])
}

// slowBin is the definition of the bins, with none of the binner's ways.
func slowBin(r *Reference, x float64) int {
	if math.IsNaN(x) {
		return r.bins() - 1
	}
	if r.Edges != nil {
		for i, e := range r.Edges {
			if x < e {
				return i
			}
		}
		return len(r.Edges)
	}
	if i := slices.Index(r.Values, x); i >= 0 {
		return i
	}
	return len(r.Values)
}

var hourly = Config{Window: time.Hour, Hop: 10 * time.Minute, Lateness: 30 * time.Minute, Ahead: time.Minute}

func TestEveryTransactionIsCountedInItsBinsWhateverItsValues(t *testing.T) {
	p := small(t)
	rng := rand.New(rand.NewPCG(3, 4))
	m := NewMonitor(p, hourly)
	want := p.NewCounts()
	for range 20 {
		b := m.NewBatch()
		s := scored(rng, 777, func(int) (int64, int64) { return rng.Int64N(1e7), 0 })
		b.Add(s)
		m.Commit(b)
		for i := range s.Times {
			want.Transactions++
			for f, x := range s.row(i) {
				want.Of(f)[slowBin(&p.Features[f], x)]++
			}
		}
	}
	got, placed := m.Total()
	if got.Transactions != want.Transactions || !slices.Equal(got.bins, want.bins) {
		t.Errorf("counts %v\nwant   %v", got.bins, want.bins)
	}
	if n := placed[OnTime] + placed[Late] + placed[TooLate] + placed[Early]; n != want.Transactions {
		t.Errorf("%d transactions have a place, there were %d: %v", n, want.Transactions, placed)
	}
	for f := range p.Features {
		if sum(got.Of(f)) != want.Transactions {
			t.Errorf("%s: %d values of %d", p.Features[f].Name, sum(got.Of(f)), want.Transactions)
		}
	}
}

func TestBinsAreRightForAnyNumberOfEdges(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 3))
	for n := 1; n <= MaxBins-2; n++ {
		r := &Reference{}
		for i := range n {
			r.Edges = append(r.Edges, float64(i-n/2))
		}
		b := newBinner(r)
		values := slices.Concat(strange, r.Edges)
		for _, e := range r.Edges {
			values = append(values, math.Nextafter(e, -100), math.Nextafter(e, 100), rng.NormFloat64()*float64(n))
		}
		values = append(values, math.Float64frombits(0xfff8000000000001)) // NaN with a sign
		for _, x := range values {
			found := make([]uint8, 1)
			b.each([]float64{x}, 1, found)
			if want := slowBin(r, x); int(b.find(x)) != want || int(found[0]) != want {
				t.Fatalf("%d edges: %v is in bin %d, and in %d, want %d", n, x, b.find(x), found[0], want)
			}
		}
	}
}

func TestReplicasAddUpToOneProcessExactly(t *testing.T) {
	p := small(t)
	rapid.Check(t, func(rt *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		one, replicas := NewMonitor(p, hourly), []*Monitor{NewMonitor(p, hourly), NewMonitor(p, hourly), NewMonitor(p, hourly)}
		whole := one.NewBatch()
		batches := []*Batch{replicas[0].NewBatch(), replicas[1].NewBatch(), replicas[2].NewBatch()}
		now := int64(1e12)
		for range rapid.IntRange(1, 30).Draw(rt, "batches") {
			s := scored(rng, rng.IntN(200), func(int) (int64, int64) { now += rng.Int64N(20_000); return now - rng.Int64N(600_000), now })
			whole.Reset()
			whole.Add(s)
			one.Commit(whole)
			r := rng.IntN(3)
			for rng.IntN(3) == 0 { // aborted: it counts nowhere, and comes again
				batches[r].Reset()
				batches[r].Add(s)
			}
			batches[r].Reset()
			batches[r].Add(s)
			replicas[r].Commit(batches[r])
		}
		sum := p.NewCounts()
		for _, r := range replicas {
			c, _ := r.Total()
			sum.Add(c)
		}
		if total, _ := one.Total(); total.Transactions != sum.Transactions || !slices.Equal(total.bins, sum.bins) {
			rt.Fatalf("one process counts %v, the replicas %v", total.bins, sum.bins)
		}
	})
}

func minute(n int) int64 { return int64(n) * 60_000 }

// in counts n transactions of one event time, in a batch of their own.
func in(m *Monitor, event, record int64, n int) {
	b := m.NewBatch()
	b.Add(scored(rand.New(rand.NewPCG(5, 6)), n, func(int) (int64, int64) { return event, record }))
	m.Commit(b)
}

func TestWindowsAreOfEventTime(t *testing.T) {
	m := NewMonitor(small(t), hourly)
	for i := range 12 {
		in(m, minute(10*i)+5, 0, 1+i) // 1 in the stretch from 0:00, 2 from 0:10 …
	}
	w := m.Latest()
	if w.From.UnixMilli() != minute(50) || w.To.UnixMilli() != minute(110) || w.Counts.Transactions != 6+7+8+9+10+11 {
		t.Errorf("window %v to %v of %d", w.From, w.To, w.Counts.Transactions)
	}
	in(m, minute(65), 0, 100) // late, to its own window
	if w = m.Latest(); w.Counts.Transactions != 51+100 {
		t.Errorf("with late ones the window has %d", w.Counts.Transactions)
	}
	in(m, minute(3), 0, 7) // older than all that is kept: 6 hops of the window, 1 open, 3 of lateness
	in(m, minute(-5), 0, 1)
	in(m, minute(10*365*24*60), minute(115), 1000) // a clock ten years off
	in(m, minute(111), minute(110), 1)             // a bit ahead; in the newest stretch
	_, placed := m.Total()
	if placed != [int(placements)]int64{OnTime: 78 + 1, Late: 100, TooLate: 8, Early: 1000} {
		t.Errorf("placed %v", placed)
	}
	if w = m.Latest(); w.To.UnixMilli() != minute(110) || w.Counts.Transactions != 151 {
		t.Errorf("a wrong clock moved the window to %v of %d", w.To, w.Counts.Transactions)
	}
	in(m, minute(500), 0, 1) // hours later: what was there has gone
	if w = m.Latest(); w.To.UnixMilli() != minute(500) || w.Counts.Transactions != 0 {
		t.Errorf("after a silence: %v of %d", w.To, w.Counts.Transactions)
	}
}

func TestMemoryIsBoundedWhateverTheTimes(t *testing.T) {
	m := NewMonitor(small(t), hourly)
	rng := rand.New(rand.NewPCG(7, 8))
	b := m.NewBatch()
	for range 50 {
		b.Reset()
		b.Add(scored(rng, 1000, func(int) (int64, int64) { return rng.Int64() - math.MaxInt64/2, 0 }))
		if n := len(b.panes.all) + len(b.panes.free); n > int(hourly.panes())+1 {
			t.Fatalf("a batch keeps %d stretches, %d are allowed", n, hourly.panes()+1)
		}
		m.Commit(b)
		if n := len(m.panes.all) + len(m.panes.free); n > int(hourly.panes())+1 {
			t.Fatalf("the monitor keeps %d stretches", n)
		}
	}
	total, placed := m.Total()
	if total.Transactions != 50_000 || placed[OnTime]+placed[Late]+placed[TooLate] != 50_000 {
		t.Errorf("%d transactions, placed %v", total.Transactions, placed)
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	m := NewMonitor(small(t), hourly)
	rng := rand.New(rand.NewPCG(7, 8))
	s := scored(rng, 5000, func(i int) (int64, int64) { return minute(i / 500), 0 })
	b := m.NewBatch()
	round := func() {
		b.Reset()
		b.Add(s)
		m.Commit(b)
	}
	round()
	if n := testing.AllocsPerRun(20, round); n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
}

func TestTheCollectorShowsAllBinsFromTheStart(t *testing.T) {
	p := small(t)
	m := NewMonitor(p, hourly)
	c := NewCollector(m, "7", "sha256:0123456789abcdef")
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(c)
	bins := 0
	for i := range p.Features {
		bins += p.Features[i].bins()
	}
	if n, err := testutil.GatherAndCount(reg, "fraud_feature_bin_total"); err != nil || n != bins {
		t.Errorf("%d series of bins, want %d: %v", n, bins, err)
	}
	if n, err := testutil.GatherAndCount(reg, "fraud_drift_psi"); err != nil || n != 0 {
		t.Errorf("without a transaction there are %d PSI: %v", n, err)
	}
	in(m, minute(0), 0, 50)
	in(m, minute(30), 0, 50)
	err := testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP fraud_drift_window_end_timestamp_seconds Event time at which that window ended, Unix seconds.
# TYPE fraud_drift_window_end_timestamp_seconds gauge
fraud_drift_window_end_timestamp_seconds{bundle="0123456789ab",model_version="7"} 1800
# HELP fraud_drift_events_total The same by where they fell in event time: on_time, late (an older window), too_late, early (both in no window).
# TYPE fraud_drift_events_total counter
fraud_drift_events_total{bundle="0123456789ab",model_version="7",placement="early"} 0
fraud_drift_events_total{bundle="0123456789ab",model_version="7",placement="late"} 0
fraud_drift_events_total{bundle="0123456789ab",model_version="7",placement="on_time"} 100
fraud_drift_events_total{bundle="0123456789ab",model_version="7",placement="too_late"} 0
`), "fraud_drift_window_end_timestamp_seconds", "fraud_drift_events_total")
	if err != nil {
		t.Error(err)
	}
	if n, err := testutil.GatherAndCount(reg, "fraud_drift_psi"); err != nil || n != len(p.Features) {
		t.Errorf("%d PSI of %d features: %v", n, len(p.Features), err)
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

// BenchmarkCount is what a transaction of twenty features of ten bins costs.
func BenchmarkCount(b *testing.B) {
	const features, n = 20, 16_384 // more than a processor learns by heart
	rng := rand.New(rand.NewPCG(1, 2))
	columns := make([]Column, features)
	for f := range columns {
		columns[f].Name = fmt.Sprint("x", f)
	}
	sample := NewSample(columns)
	s := Scored{Width: features}
	row := make([]float64, features)
	for i := range 20_000 {
		for f := range row {
			row[f] = math.Exp(rng.NormFloat64())
			if f%2 == 0 {
				row[f] = float64(rng.IntN(12))
			}
		}
		if err := sample.Add(row, rng.Float64(), 0, "", time.Time{}); err != nil {
			b.Fatal(err)
		}
		if i < n {
			s.Rows = append(s.Rows, row...)
			s.Probabilities, s.Decisions = append(s.Probabilities, rng.Float64()), append(s.Decisions, 0)
			s.Times, s.Timestamps = append(s.Times, int64(i)), append(s.Timestamps, int64(i))
		}
	}
	p, err := sample.Profile(func(int, int) {})
	if err != nil {
		b.Fatal(err)
	}
	m := NewMonitor(p, Defaults())
	batch := m.NewBatch()
	b.ReportAllocs()
	for b.Loop() {
		batch.Reset()
		batch.Add(s)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/transaction")
}
