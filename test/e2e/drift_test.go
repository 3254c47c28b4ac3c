package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

// The windows of the rules and the time that an alert waits are scaled down together: an hour is ten seconds.
var scaledDown = strings.NewReplacer("[1h]", "[10s]", "interval: 1m", "interval: 1s", "for: 15m", "for: 3s", "for: 1h", "for: 10s")

// perSecond makes a window of ten seconds one of 11,000 transactions.
const perSecond = 1100

// notices are what Alertmanager told: when an alert of a feature was first said to fire, and when to be over.
type notices struct {
	mu            sync.Mutex
	firing, ended map[string]time.Time // by alert and feature
}

func (n *notices) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var told struct {
		Alerts []struct {
			Status string
			Labels map[string]string
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&told); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, a := range told.Alerts {
		name := a.Labels["alertname"] + " " + a.Labels["feature"]
		at := n.firing
		if a.Status == "resolved" {
			at = n.ended
		}
		if at[name].IsZero() {
			at[name] = time.Now()
		}
	}
}

func (n *notices) since(of func(*notices) map[string]time.Time) (names []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for name := range of(n) {
		names = append(names, name)
	}
	return names
}

func firing(n *notices) map[string]time.Time { return n.firing }
func ended(n *notices) map[string]time.Time  { return n.ended }

// forget what was told: another part of the course begins.
func (n *notices) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.firing, n.ended = map[string]time.Time{}, map[string]time.Time{}
}

// stream sends simulated transactions at a steady rate, changed by what is in force.
type stream struct {
	mu     sync.Mutex
	change func([]byte, *rand.Rand) []byte
	sent   int
}

func (s *stream) set(change func([]byte, *rand.Rand) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.change = change
}

func (s *stream) run(ctx context.Context, brokers []string, transactions *producer.Simulator) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.DefaultProduceTopic("transactions"))
	if err != nil {
		return err
	}
	defer cl.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	begin := time.Now()
	for i := 0; ; i++ {
		if wait := time.Until(begin.Add(time.Duration(i) * time.Second / perSecond)); wait > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
		}
		if ctx.Err() != nil {
			return cl.Flush(context.WithoutCancel(ctx))
		}
		e := transactions.Next(nil)
		s.mu.Lock()
		if s.change != nil {
			e.Value = s.change(e.Value, rng)
		}
		s.sent++
		s.mu.Unlock()
		cl.Produce(context.WithoutCancel(ctx), &kgo.Record{Key: e.Key, Value: e.Value}, func(_ *kgo.Record, err error) {
			if err != nil {
				panic(err)
			}
		})
	}
}

var (
	amount = regexp.MustCompile(`"amount":([0-9.]+)`)
	age    = regexp.MustCompile(`"age_days":[0-9]+`)
	shop   = regexp.MustCompile(`"mcc":[0-9]+`)
)

// doubledAndMissing doubles amounts, and takes the customer's age away from two in a hundred.
func doubledAndMissing(line []byte, rng *rand.Rand) []byte {
	out := amount.ReplaceAllFunc(line, func(found []byte) []byte {
		v, _ := strconv.ParseFloat(string(found[len(`"amount":`):]), 64)
		return fmt.Appendf(nil, `"amount":%.2f`, 2*v)
	})
	if rng.IntN(50) == 0 {
		out = age.ReplaceAll(out, []byte(`"age_days":null`))
	}
	return out
}

// moreOfOneShop brings one kind of shop from 1.7 to 5 % of payments.
func moreOfOneShop(line []byte, rng *rand.Rand) []byte {
	if rng.IntN(30) == 0 {
		return shop.ReplaceAll(line, []byte(`"mcc":5816`))
	}
	return line
}

// TestDriftIsAlertedOnRealParts: two scorers, a real Kafka, Prometheus and Alertmanager, and the rules as they are deployed. Nothing is alerted while nothing drifts; what
// drifts is named, how soon is logged, and nothing else is; it is over when it is over; and a report of the topic says the same as the counters.
func TestDriftIsAlertedOnRealParts(t *testing.T) {
	s := newStack(t)
	ports := []int{rig.FreePort(t), rig.FreePort(t)}
	for i, port := range ports {
		s.score(t, fmt.Sprintf("drift-%d", i), port, "DRIFT_HOP=1h", "DRIFT_WINDOW=24h", "DRIFT_LATENESS=24h")
	}
	told := &notices{}
	told.forget()
	hook := httptest.NewServer(told)
	t.Cleanup(hook.Close)
	rules := map[string]string{}
	for _, name := range []string{"drift.yml", "model.yml"} {
		text, err := os.ReadFile("../../deploy/prometheus/rules/" + name)
		if err != nil {
			t.Fatal(err)
		}
		rules[name] = scaledDown.Replace(string(text))
	}
	var targets []string
	for _, port := range ports {
		targets = append(targets, fmt.Sprintf("127.0.0.1:%d", port))
	}
	prometheus := rig.Monitoring(t, map[string][]string{"mlmonitor-score": targets}, rules, hook.URL)

	// The weeks that the reference is of, lived through by the same people with other payments: everything is as it was but for chance.
	weeks := producer.DefaultSimulator(1, 9_000_000_000, 0)
	weeks.Start = time.Date(2026, 2, 12, 17, 0, 0, 0, time.UTC)
	transactions, err := producer.NewSimulator(weeks)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	source, done := &stream{}, make(chan error, 1)
	go func() { done <- source.run(ctx, s.kafka.Brokers, transactions) }()

	drifts := func(names []string) (all []string) {
		for _, name := range names {
			if strings.HasPrefix(name, "ModelDrift") {
				all = append(all, name)
			}
		}
		return all
	}
	quiet := func(what string) {
		t.Helper()
		if names := drifts(told.since(firing)); len(names) > 0 {
			t.Errorf("%s: %v", what, names)
		}
	}
	await := func(what string, of func(*notices) map[string]time.Time, want ...string) {
		t.Helper()
		begin := time.Now()
		for {
			told.mu.Lock()
			missing := 0
			for _, name := range want {
				if of(told)[name].IsZero() {
					missing++
				}
			}
			told.mu.Unlock()
			if missing == 0 {
				t.Logf("%s after %.1f s", what, time.Since(begin).Seconds())
				return
			}
			if time.Since(begin) > patience {
				psi, _ := prometheus.Query(t.Context(), "fraud:drift_psi:1h > 0.015")
				critical, _ := prometheus.Query(t.Context(), "fraud:drift_psi_critical:1h")
				t.Fatalf("%s: not within %v; told were %v, over %v; PSI %v; critical %v", what, patience, told.since(firing), told.since(ended), psi, critical)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	// only says which features may be named: what the events were changed in, and what the model makes of that.
	only := func(what string, features ...string) {
		t.Helper()
		for _, name := range drifts(told.since(firing)) {
			feature := strings.Fields(name)[1]
			if !strings.Contains(" "+strings.Join(features, " ")+" verdict.probability verdict.decision ", " "+feature+" ") {
				t.Errorf("%s: %s", what, name)
			}
		}
	}

	time.Sleep(35 * time.Second) // three windows and more
	eventually(t, "a window has ten seconds of transactions", func() bool {
		observed, err := prometheus.Query(t.Context(), `fraud:drift_window_observations:1h{feature="amount"}`)
		if err != nil || len(observed) != 1 {
			return false
		}
		n, err := strconv.ParseFloat(observed[0].Value, 64)
		return err == nil && 9000 <= n && n <= 13_000
	})
	quiet("nothing drifts")

	told.forget()
	source.set(doubledAndMissing)
	await("amounts twice as high and two ages in a hundred missing are named", firing, "ModelDrift amount", "ModelDrift customer_age_days")
	only("amounts and ages drift", "amount", "customer_age_days")
	source.set(nil)
	await("they are over", ended, "ModelDrift amount", "ModelDrift customer_age_days")
	time.Sleep(12 * time.Second)

	told.forget()
	source.set(moreOfOneShop)
	await("a kind of shop that went from 1.7 to 5 % is named as small", firing, "ModelDriftSmall mcc")
	only("a kind of shop is more frequent", "mcc")
	for _, name := range told.since(firing) {
		if name == "ModelDrift mcc" || name == "ModelDriftSevere mcc" {
			t.Errorf("a PSI of 0.04 raised %s", name)
		}
	}
	source.set(nil)
	await("it is over", ended, "ModelDriftSmall mcc")

	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	reportsAgree(t, s, prometheus, source.sent)
}

// reportsAgree: two reports of the topic are the same, and their counts are the sum of the scorers' counters.
func reportsAgree(t *testing.T, s *stack, prometheus *rig.Monitor, sent int) {
	t.Helper()
	var total float64
	deadline := time.Now().Add(patience)
	for total != float64(sent) && time.Now().Before(deadline) {
		time.Sleep(500 * time.Millisecond)
		answer, err := prometheus.Query(t.Context(), `sum(fraud_feature_bin_total{feature="verdict.decision"})`)
		if err != nil || len(answer) != 1 {
			t.Fatalf("%v, %v", answer, err)
		}
		total, _ = strconv.ParseFloat(answer[0].Value, 64)
	}
	first := mustRun(t, s.env, "drift", "report", "--json")
	if second := mustRun(t, s.env, "drift", "report", "--json"); second != first {
		t.Error("a second report of the same range differs")
	}
	var report struct {
		Transactions int
		Features     []struct {
			Feature string
			Bins    []struct {
				Bin     string
				Current int64
			}
		}
	}
	if err := json.Unmarshal([]byte(first), &report); err != nil {
		t.Fatal(err)
	}
	if report.Transactions != sent {
		t.Errorf("the report is of %d transactions, %d were sent", report.Transactions, sent)
	}
	want, got := map[string]int64{}, map[string]int64{}
	for _, f := range report.Features {
		for _, b := range f.Bins {
			want[f.Feature+" "+b.Bin] = b.Current
		}
	}
	series, err := prometheus.Query(t.Context(), "sum by (feature, bin) (fraud_feature_bin_total)")
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range series {
		n, err := strconv.ParseFloat(one.Value, 64)
		if err != nil {
			t.Fatal(err)
		}
		got[one.Labels["feature"]+" "+one.Labels["bin"]] = int64(n)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a report of the topic and the scorers' counters differ (-report +counters):\n%s", diff)
	}
}
