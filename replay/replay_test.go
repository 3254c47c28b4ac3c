package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/bundles"
	"github.com/mlmonitor/mlmonitor/consumer"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/replay/metrics"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/scorer"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

// world is a cluster whose transactions were scored live, with swaps, a canary and dead letters.
type world struct {
	topics  kafka.Config
	bundles map[string]*scorer.Bundle // by digest
	sent    producer.Produced
}

// variant is the sample with another policy, and so with another digest and other decisions.
func variant(t *testing.T, version string, review, decline float64) *scorer.Bundle {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, bundles.Sample()); err != nil {
		t.Fatal(err)
	}
	policy := fmt.Appendf(nil, "version: 1\nreview: %v\ndecline: %v\n", review, decline)
	if err := os.WriteFile(filepath.Join(dir, "policy.yaml"), policy, 0o644); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "bundle.json")
	manifest, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if manifest, err = scorer.ListFile(bytes.Replace(manifest, []byte(`"version": "1"`), fmt.Appendf(nil, `"version": %q`, version), 1), "policy.yaml", policy); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, manifest, 0o644); err != nil {
		t.Fatal(err)
	}
	b, err := scorer.LoadBundle(os.DirFS(dir), scorer.Auto)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var worlds atomic.Int64

func live(t *testing.T, brokers []string) *world {
	t.Helper()
	id := fmt.Sprintf("r%d-%d", time.Now().UnixNano(), worlds.Add(1))
	w := &world{topics: kafka.Config{Brokers: brokers, Transactions: id + ".in", Verdicts: id + ".out", DeadLetters: id + ".dlq", Models: id + ".models"}, bundles: map[string]*scorer.Bundle{}}
	if _, err := kafka.LayOut(t.Context(), &w.topics, kafka.Layout{Partitions: 4, Replication: -1}, false); err != nil {
		t.Fatal(err)
	}
	first, second, third := variant(t, "one", 0.05, 0.5), variant(t, "two", 0.02, 0.3), variant(t, "three", 0.01, 0.2)
	for _, b := range []*scorer.Bundle{first, second, third} {
		w.bundles[b.ID.Digest] = b
	}
	models := consumer.NewModels(first, "the first")
	cfg := consumer.Config{Group: id, Instance: "a", Members: 1, TxnInterval: time.Millisecond, TxnMaxRecords: 300, TxnMaxBytes: 1 << 25, TxnTimeout: 5 * time.Second, Session: 6 * time.Second,
		MaxDeadLetterRatio: 0.5, DeadLetterWindow: 1000, HaltRetry: time.Second}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- consumer.New(cfg, &w.topics, models, slog.New(slog.NewTextHandler(io.Discard, nil)), prometheus.NewRegistry()).Run(ctx)
	}()
	for i, change := range []func(){func() {}, func() { models.Set(second, "better") }, func() { models.SetChallenger(third, 0.3, "a canary") }, func() { models.SetChallenger(nil, 0, "enough") }, func() { models.Set(first, "back") }} {
		change()
		sim := producer.SimulatorConfig{Seed: 7, First: uint64(i) * 1000, Start: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Customers: 200, Terminals: 50, Malformed: 0.01}
		sent, err := producer.Produce(t.Context(), &w.topics, producer.ProduceConfig{Simulator: sim, Count: 1000}, func() {})
		if err != nil {
			t.Fatal(err)
		}
		w.sent.Transactions += sent.Transactions
		w.sent.Malformed += sent.Malformed
		for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
			if lag, err := consumer.Lag(t.Context(), &w.topics, id); err == nil && lag == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("the transactions are not scored")
			}
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) whole(t *testing.T, topic string) kafka.Range {
	t.Helper()
	r, err := kafka.Settled(t.Context(), &w.topics, topic, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (w *world) byDigest(_ context.Context, digest string) (*scorer.Bundle, error) {
	return w.bundles[digest], nil
}

func (w *world) answered(t *testing.T) map[int32]int64 {
	t.Helper()
	next, err := consumer.Committed(t.Context(), &w.topics, strings.TrimSuffix(w.topics.Transactions, ".in"))
	if err != nil || len(next) != 4 {
		t.Fatal(next, err)
	}
	return next
}

func (w *world) verify(t *testing.T, within kafka.Range) *Verified {
	t.Helper()
	v, err := Verify(t.Context(), &w.topics, within, w.answered(t), w.byDigest, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// produce writes records as somebody would who should not.
func (w *world) produce(t *testing.T, records ...*kgo.Record) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(w.topics.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// options of a replay that has nothing but its candidate.
func options(candidate *scorer.Bundle) *Options {
	return &Options{Candidate: candidate, Unlabelled: "unknown", K: 20, Sample: 1, Workers: 2, Hop: time.Hour, AsOf: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)}
}

func on(t *testing.T, test func(t *testing.T, w *world)) {
	t.Run("embedded", func(t *testing.T) {
		broker, err := kafka.StartEmbedded("")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(broker.Close)
		test(t, live(t, broker.Brokers()))
	})
	t.Run("real", func(t *testing.T) { test(t, live(t, rig.Kafka(t, 1).Brokers)) })
}

func TestWhatWasScoredLiveIsVerified(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		whole := w.whole(t, w.topics.Transactions)
		v := w.verify(t, whole)
		if !v.Holds() || v.Inputs != int64(w.sent.Transactions) || v.DeadLetters != int64(w.sent.Malformed) || v.Verdicts+v.DeadLetters != v.Inputs || len(v.Bundles) != 3 || v.DeadLetters == 0 {
			t.Fatalf("%+v", v)
		}
		// A part of the range, which begins within the topic of verdicts.
		part := kafka.Range{From: map[int32]int64{}, To: map[int32]int64{}}
		want := int64(0)
		for p, to := range whole.To {
			part.From[p], part.To[p] = to/3, to/2
			want += to/2 - to/3
		}
		// What comes now is not answered yet, and no difference.
		w.produce(t, &kgo.Record{Topic: w.topics.Transactions, Partition: 1, Value: []byte("a")}, &kgo.Record{Topic: w.topics.Transactions, Partition: 2, Value: []byte("b")})
		if v := w.verify(t, w.whole(t, w.topics.Transactions)); !v.Holds() || v.Pending != 2 || v.Inputs != int64(w.sent.Transactions)+2 {
			t.Errorf("with two more inputs %+v", v)
		}
		if v := w.verify(t, part); !v.Holds() || v.Inputs != want {
			t.Errorf("of a part %+v, want %d inputs", v, want)
		}
	})
}

// A commit is answered, and the group's offsets are known, before readers see the answers: those are not missing.
func TestAnswersThatReadersDoNotSeeYetAreNoDifference(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		var first *scorer.Bundle
		for _, b := range w.bundles {
			if b.ID.Version == "one" {
				first = b
			}
		}
		inputs := []*kgo.Record{{Topic: w.topics.Transactions, Partition: 1, Value: first.Examples[0].Event}, {Topic: w.topics.Transactions, Partition: 1, Value: []byte("no transaction")}}
		w.produce(t, inputs...)
		s := first.NewScorer()
		for _, in := range inputs {
			s.Add(in.Value, in.Timestamp)
		}
		outcomes, err := s.Score()
		if err != nil {
			t.Fatal(err)
		}
		var verdict, letter kgo.Record
		outcomes[0].Verdict.Source = schemas.Source{Topic: w.topics.Transactions, Partition: 1, Offset: inputs[0].Offset}
		payload, err := outcomes[0].Verdict.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		producer.SetVerdict(&verdict, inputs[0], w.topics.Verdicts, payload, []byte(first.ID.Digest), nil)
		producer.SetDeadLetter(&letter, inputs[1], w.topics.DeadLetters, outcomes[1].Err, first.ID.Digest)
		cl, err := kgo.NewClient(kgo.SeedBrokers(w.topics.Brokers...), kgo.TransactionalID(w.topics.Verdicts), kgo.TransactionTimeout(time.Minute), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := cl.ProduceSync(t.Context(), &verdict, &letter).FirstErr(); err != nil {
			t.Fatal(err)
		}
		answered := w.answered(t)
		answered[1] = inputs[1].Offset + 1
		ended := make(chan error, 1)
		time.AfterFunc(300*time.Millisecond, func() { ended <- cl.EndTransaction(t.Context(), kgo.TryCommit) })
		v, err := Verify(t.Context(), &w.topics, w.whole(t, w.topics.Transactions), answered, w.byDigest, 2, nil)
		if err != nil || !v.Holds() || v.Pending != 0 || v.Inputs != int64(w.sent.Transactions)+2 {
			t.Errorf("%+v, %v", v, err)
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	})
}

func TestWhatWasTamperedWithIsFound(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		// One topic of verdicts anew, each tenth changed in another way.
		var all []*kgo.Record
		wrong := map[string]int64{}
		n := map[int32]int{}
		err := kafka.Read(t.Context(), &w.topics, w.topics.Verdicts, w.whole(t, w.topics.Verdicts), func(r *kgo.Record) error {
			v, err := schemas.ParseVerdict(r.Value)
			if err != nil {
				return err
			}
			out := &kgo.Record{Topic: w.topics.Verdicts + ".tampered", Partition: r.Partition, Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value), Timestamp: r.Timestamp}
			kinds := []string{Changed, Unanswered, Doubled, Misplaced, NotInForce, UnknownBundle}
			i := n[r.Partition]
			n[r.Partition]++
			if i%10 != 0 || i/10 >= len(kinds) {
				all = append(all, out)
				return nil
			}
			kind := kinds[i/10]
			wrong[kind]++
			text := func() []byte {
				text, err := v.Append(nil)
				if err != nil {
					t.Fatal(err)
				}
				return text
			}
			switch kind {
			case Changed:
				v.Probability /= 2
				out.Value = text()
			case Unanswered:
				return nil
			case Doubled:
				all = append(all, &kgo.Record{Topic: out.Topic, Partition: out.Partition, Key: out.Key, Value: out.Value, Timestamp: out.Timestamp})
			case Misplaced:
				out.Key = []byte("another")
			case NotInForce:
				for digest, b := range w.bundles {
					if digest != v.Bundle.Digest {
						v.Bundle = b.ID
						v.Decision = b.Policy.Decide(v.Probability)
						break
					}
				}
				out.Value = text()
			case UnknownBundle:
				v.Bundle.Digest = "sha256:" + strings.Repeat("0", 64)
				out.Value = text()
				wrong[NotInForce]++
			}
			all = append(all, out)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		tampered := w.topics
		tampered.Verdicts += ".tampered"
		if _, err := kafka.LayOut(t.Context(), &tampered, kafka.Layout{Partitions: 4, Replication: -1}, false); err != nil {
			t.Fatal(err)
		}
		w.produce(t, all...)
		v, err := Verify(t.Context(), &tampered, w.whole(t, w.topics.Transactions), w.answered(t), w.byDigest, 2, nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wrong, v.Found); diff != "" {
			t.Errorf("planted (-), found (+):\n%s", diff)
		}
		if len(wrong) < 6 {
			t.Errorf("only %v were planted", wrong)
		}
		for _, d := range v.Listed {
			if d.Kind == Changed && !strings.Contains(d.Detail, "scored again it is") {
				t.Errorf("%+v", d)
			}
		}
	})
}

// The candidate beside the verdicts that were given, and beside a bundle, against counting one by one.
func TestFlipsAreCounted(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		candidate := variant(t, "candidate", 0.003, 0.1)
		o := options(candidate)
		o.Verdicts = true
		o.Segments = []string{"channel"}
		c, err := Run(t.Context(), FromTopic(&w.topics, w.topics.Transactions, w.whole(t, w.topics.Transactions)), &w.topics, o)
		if err != nil {
			t.Fatal(err)
		}
		var want [3][3]int64
		declined := int64(0)
		err = kafka.Read(t.Context(), &w.topics, w.topics.Verdicts, w.whole(t, w.topics.Verdicts), func(r *kgo.Record) error {
			v, err := schemas.ParseVerdict(r.Value)
			was, would := slices.Index([]schemas.Decision{schemas.Approve, schemas.Review, schemas.Decline}, v.Decision), slices.Index([]schemas.Decision{schemas.Approve, schemas.Review, schemas.Decline}, candidate.Policy.Decide(v.Probability))
			want[was][would]++
			if was != 2 && would == 2 {
				declined++
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if c.Pairs.Decided != want || c.Flips[0].Count != declined || declined == 0 || c.Unpaired != 0 || c.Records != int64(w.sent.Transactions) || c.Scored != c.Records-int64(w.sent.Malformed) {
			t.Errorf("decided %v, want %v; %d newly declined, want %d; %d unpaired of %d", c.Pairs.Decided, want, c.Flips[0].Count, declined, c.Unpaired, c.Records)
		}
		inSegments := int64(0)
		for _, s := range c.Segments["channel"] {
			inSegments += s.Count
		}
		if inSegments != c.Scored || len(c.Segments["channel"]) < 3 {
			t.Errorf("%d of %d in segments %v", inSegments, c.Scored, c.Segments["channel"])
		}
		r := NewReport(c, candidate, nil)
		var page bytes.Buffer
		if err := r.HTML(&page); err != nil || !strings.Contains(page.String(), "Newly declined") || strings.Contains(page.String(), "ZgotmplZ") || strings.Contains(page.String(), "NaN") {
			t.Errorf("the page: %v\n%.600s", err, page.String())
		}
	})
}

// TestNothingIsTouched: a replay is in no group, and writes nothing.
func TestNothingIsTouched(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		before := map[string]kafka.Range{}
		topics := []string{w.topics.Transactions, w.topics.Verdicts, w.topics.DeadLetters, w.topics.Models}
		for _, topic := range topics {
			before[topic] = w.whole(t, topic)
		}
		o := options(variant(t, "candidate", 0.1, 0.2))
		o.Verdicts = true
		if _, err := Run(t.Context(), FromTopic(&w.topics, w.topics.Transactions, before[w.topics.Transactions]), &w.topics, o); err != nil {
			t.Fatal(err)
		}
		w.verify(t, before[w.topics.Transactions])
		for _, topic := range topics {
			if now := w.whole(t, topic); !reflect.DeepEqual(now, before[topic]) {
				t.Errorf("%s was %v, is %v", topic, before[topic], now)
			}
		}
	})
}

// TestABackfillIsExactlyOnceAcrossInterruptions starts again and again, cut off after ever more.
func TestABackfillIsExactlyOnceAcrossInterruptions(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		candidate := variant(t, "candidate", 0.003, 0.1)
		whole := w.whole(t, w.topics.Transactions)
		target := w.topics
		target.Verdicts += ".backfill"
		if _, err := kafka.LayOut(t.Context(), &target, kafka.Layout{Partitions: 4, Replication: -1}, false); err != nil {
			t.Fatal(err)
		}
		if _, err := Publish(t.Context(), &w.topics, whole, candidate, w.topics.Verdicts, 2, nil); err == nil || !strings.Contains(err.Error(), "another") {
			t.Errorf("into the live verdicts: %v", err)
		}
		var done *Published
		for left := int64(1); done == nil; left *= 4 {
			ctx, stop := context.WithCancel(t.Context())
			var seen atomic.Int64
			part := whole
			p, err := Publish(ctx, &w.topics, part, candidate, target.Verdicts, 2, func(n int) {
				if seen.Add(int64(n)) > left {
					stop()
				}
			})
			stop()
			if err == nil {
				done = p
			}
		}
		seen := map[schemas.Source]bool{}
		err := kafka.Read(t.Context(), &target, target.Verdicts, w.whole(t, target.Verdicts), func(r *kgo.Record) error {
			v, err := schemas.ParseVerdict(r.Value)
			if err != nil {
				return err
			}
			if seen[v.Source] || v.Bundle != candidate.ID || r.Partition != v.Source.Partition {
				t.Errorf("%v stands twice, or is of %v", v.Source, v.Bundle)
			}
			seen[v.Source] = true
			headers := map[string]string{}
			for _, h := range r.Headers {
				headers[h.Key] = string(h.Value)
			}
			if headers[HeaderReplay] != w.topics.Transactions || headers[producer.HeaderBundle] != candidate.ID.Digest {
				t.Errorf("headers %v", headers)
			}
			return nil
		})
		if err != nil || len(seen) != int(w.sent.Transactions-w.sent.Malformed) {
			t.Errorf("%d verdicts of %+v, %v", len(seen), w.sent, err)
		}
		again, err := Publish(t.Context(), &w.topics, whole, candidate, target.Verdicts, 2, nil)
		if err != nil || again.Verdicts != 0 {
			t.Errorf("once more: %+v, %v", again, err)
		}
		if _, err := Publish(t.Context(), &w.topics, whole, variant(t, "other", 0.1, 0.2), target.Verdicts, 2, nil); err == nil || !strings.Contains(err.Error(), "another replay") {
			t.Errorf("another bundle into the same topic: %v", err)
		}
	})
}

// file writes simulated events and labels.
func file(t *testing.T, name string, count int64) (events string, labels map[string]bool) {
	t.Helper()
	sim, err := producer.NewSimulator(producer.SimulatorConfig{Seed: 3, Start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Customers: 300, Terminals: 60})
	if err != nil {
		t.Fatal(err)
	}
	labels = map[string]bool{}
	var text bytes.Buffer
	for range count {
		e := sim.Next(nil)
		text.Write(e.Value)
		text.WriteByte('\n')
		var id struct {
			ID string `json:"transaction_id"`
		}
		if err := json.Unmarshal(e.Value, &id); err != nil {
			t.Fatal(err)
		}
		labels[id.ID] = e.Fraud != ""
	}
	events = filepath.Join(t.TempDir(), name)
	var out io.WriteCloser
	f, err := os.Create(events)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	switch filepath.Ext(name) {
	case ".gz":
		out = gzip.NewWriter(f)
	case ".zst":
		if out, err = zstd.NewWriter(f); err != nil {
			t.Fatal(err)
		}
	case ".parquet":
		type row struct {
			Value []byte `parquet:"value"`
		}
		w := parquet.NewGenericWriter[row](f)
		for line := range bytes.Lines(text.Bytes()) {
			if _, err := w.Write([]row{{bytes.TrimSuffix(line, []byte("\n"))}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return events, labels
	default:
		out = f
	}
	if _, err := out.Write(text.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil && out != io.WriteCloser(f) {
		t.Fatal(err)
	}
	return events, labels
}

func labelFile(t *testing.T, labels map[string]bool) *Labels {
	t.Helper()
	name := filepath.Join(t.TempDir(), "labels.csv")
	text := []byte("transaction_id,label\n")
	for id, fraud := range labels {
		text = fmt.Appendf(text, "%s,%d\n", id, map[bool]int{true: 1}[fraud])
	}
	if err := os.WriteFile(name, text, 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := ReadLabels(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// asJSON is what two replays of the same are compared by.
func asJSON(t *testing.T, c *Counts, candidate *scorer.Bundle) string {
	t.Helper()
	for _, s := range c.Sides {
		if s != nil {
			s.Scores.Ranked()
		}
	}
	text, err := json.Marshal(NewReport(c, candidate, nil))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func costs() *metrics.Costs {
	return &metrics.Costs{FraudShare: 1, FraudFixed: 15, DeclinedShare: 0.03, DeclinedFixed: 5, ReviewFixed: 3, ReviewCatches: 0.85, ReviewsPerDay: 20, MaxDeclinedShare: 0.05}
}

func TestAFileGivesTheSameWhateverItsFormAndHowManyReadIt(t *testing.T) {
	candidate, base := variant(t, "candidate", 0.01, 0.2), variant(t, "base", 0.05, 0.5)
	want := ""
	for _, c := range []struct {
		name    string
		workers int
	}{{"events.jsonl", 1}, {"events.jsonl", 5}, {"events.jsonl.gz", 2}, {"events.jsonl.zst", 2}, {"events.parquet", 2}} {
		name, labels := file(t, c.name, 6000)
		o := options(candidate)
		o.Base, o.Labels, o.Costs, o.Segments = base, labelFile(t, labels), costs(), []string{"channel", "card_present"}
		counts, err := Run(t.Context(), FromFile(name, c.workers), nil, o)
		if err != nil {
			t.Fatal(err)
		}
		counts.Settings.Source, counts.Parts = "", nil
		got := asJSON(t, counts, candidate)
		if want == "" {
			want = got
		}
		if got != want {
			t.Errorf("%+v gives another report:\n%s", c, cmp.Diff(want, got))
		}
	}
	if !strings.Contains(want, `"suggested_policy":{`) || !strings.Contains(want, `"drift":{`) {
		t.Errorf("the report lacks a part: %.2000s", want)
	}
}

func TestCountsOfPartsAddUpToTheWhole(t *testing.T) {
	name, labels := file(t, "events.jsonl", 6000)
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	candidate, base := variant(t, "candidate", 0.01, 0.2), variant(t, "base", 0.05, 0.5)
	run := func(name string) *Counts {
		o := options(candidate)
		o.Base, o.Labels, o.Costs, o.Segments = base, labelFile(t, labels), costs(), []string{"channel"}
		c, err := Run(t.Context(), FromFile(name, 2), nil, o)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	whole := run(name)
	lines := bytes.SplitAfter(text, []byte("\n"))
	var total *Counts
	for i, part := range [][][]byte{lines[:1000], lines[1000:4500], lines[4500:]} {
		one := filepath.Join(t.TempDir(), fmt.Sprintf("part%d.jsonl", i))
		if err := os.WriteFile(one, bytes.Join(part, nil), 0o644); err != nil {
			t.Fatal(err)
		}
		written, err := json.Marshal(run(one))
		if err != nil {
			t.Fatal(err)
		}
		c, err := ReadCounts(bytes.NewReader(written))
		if err != nil {
			t.Fatal(err)
		}
		if total == nil {
			total = c
		} else if err := total.Merge(c); err != nil {
			t.Fatal(err)
		}
	}
	// What no part of the parts can be equal: where they are from, offsets, and labels that another part has.
	whole.timeline = nil
	for _, c := range []*Counts{whole, total} {
		c.Settings.Source, c.Parts, c.Labels.Unknown = "", nil, 0
		for i := range c.Flips {
			for j := range c.Flips[i].Top {
				c.Flips[i].Top[j].Partition, c.Flips[i].Top[j].Offset = 0, 0
			}
		}
		for _, s := range c.Sides {
			for _, d := range s.Days {
				d.Top.All = slices.DeleteFunc(d.Top.All, func(metrics.Ranked) bool { return false })
			}
		}
	}
	if a, b := asJSON(t, whole, candidate), asJSON(t, total, candidate); a != b {
		t.Errorf("the whole (-) and the parts (+):\n%s", cmp.Diff(strings.Split(a, ","), strings.Split(b, ",")))
	}
	other := run(name)
	other.Settings.K = 7
	if err := whole.Merge(other); err == nil || !strings.Contains(err.Error(), "settings") {
		t.Errorf("with other settings: %v", err)
	}
}

func TestOfAFileATimeIsReplayed(t *testing.T) {
	name, _ := file(t, "events.jsonl", 6000)
	o := options(variant(t, "candidate", 0.01, 0.2))
	whole, err := Run(t.Context(), FromFile(name, 2), nil, o)
	if err != nil {
		t.Fatal(err)
	}
	middle := whole.From.Add(whole.To.Sub(whole.From) / 2)
	sum := int64(0)
	for _, bounds := range [][2]time.Time{{{}, middle}, {middle, {}}} {
		o.Since, o.Until = bounds[0], bounds[1]
		c, err := Run(t.Context(), FromFile(name, 2), nil, o)
		if err != nil || c.Records+c.Left != 6000 || c.Records < 1000 {
			t.Fatalf("%d records, %d left out, %v", c.Records, c.Left, err)
		}
		if !bounds[0].IsZero() && c.From.Before(middle) || !bounds[1].IsZero() && !c.To.Before(middle) {
			t.Errorf("of %v are %v to %v", bounds, c.From, c.To)
		}
		sum += c.Records
	}
	if sum != 6000 {
		t.Errorf("the halves have %d", sum)
	}
}

func TestACandidateThatHasSeenTheRangeIsTold(t *testing.T) {
	name, _ := file(t, "events.jsonl", 500) // of January, on which the sample was trained
	o := options(variant(t, "candidate", 0.01, 0.2))
	c, err := Run(t.Context(), FromFile(name, 1), nil, o)
	if err != nil {
		t.Fatal(err)
	}
	if r := NewReport(c, o.Candidate, nil); !strings.Contains(r.Words[1], "has learnt from events until 2026-02-05") {
		t.Errorf("%q", r.Words)
	}
}

func TestTheSamePartTwiceIsRefused(t *testing.T) {
	c := newCounts(options(variant(t, "candidate", 0.01, 0.2)), "topic in")
	c.Parts = []PartDone{{"topic in", 0, 0, 10, 10}}
	o := newCounts(options(variant(t, "candidate", 0.01, 0.2)), "topic in")
	o.Parts = []PartDone{{"topic in", 0, 9, 20, 11}}
	if err := c.Merge(o); err == nil || !strings.Contains(err.Error(), "offset 9 to 10") {
		t.Errorf("%v", err)
	}
}

func TestAnInterruptedReplayIsAPartAndSaysSo(t *testing.T) {
	name, _ := file(t, "events.jsonl", 20_000)
	o := options(variant(t, "candidate", 0.01, 0.2))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	n := atomic.Int64{}
	o.Seen = func(k int) {
		if n.Add(int64(k)) > 3000 {
			stop()
		}
	}
	c, err := Run(ctx, FromFile(name, 2), nil, o)
	if err != nil || !c.Partial || c.Records == 0 || c.Records >= 20_000 {
		t.Fatalf("%d records, partial %t, %v", c.Records, c.Partial, err)
	}
	if r := NewReport(c, o.Candidate, nil); !strings.Contains(r.Words[0], "interrupted") {
		t.Errorf("%v", r.Words)
	}
}

func TestASampleIsTheSameAndOfItsSize(t *testing.T) {
	broker, err := kafka.StartEmbedded("")
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	w := live(t, broker.Brokers())
	run := func() *Counts {
		o := options(variant(t, "candidate", 0.01, 0.2))
		o.Sample = 0.25
		c, err := Run(t.Context(), FromTopic(&w.topics, w.topics.Transactions, w.whole(t, w.topics.Transactions)), &w.topics, o)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	a, b := run(), run()
	if a.Records != b.Records || a.Records+a.Left != int64(w.sent.Transactions) || a.Records < int64(w.sent.Transactions)/8 || a.Records > int64(w.sent.Transactions)/2 {
		t.Errorf("%d and %d of %d", a.Records, b.Records, w.sent.Transactions)
	}
}

func TestLabelsOfATopicAreThoseOfAFile(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		topic := w.topics.Transactions + ".labels"
		named := w.topics
		named.Transactions = topic
		if _, err := kafka.LayOut(t.Context(), &named, kafka.Layout{Partitions: 2, Replication: -1}, false); err != nil {
			t.Fatal(err)
		}
		var ids []string
		err := kafka.Read(t.Context(), &w.topics, w.topics.Verdicts, w.whole(t, w.topics.Verdicts), func(r *kgo.Record) error {
			v, err := schemas.ParseVerdict(r.Value)
			ids = append(ids, string(v.TransactionID))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		early, late := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 4, 2, 0, 0, 0, 0, time.UTC)
		var records []*kgo.Record
		frauds := int64(0)
		for i, id := range ids {
			fraud := i%7 == 0
			if fraud {
				frauds++
			}
			if i%10 == 0 { // said otherwise the day before
				records = append(records, &kgo.Record{Topic: topic, Partition: int32(i % 2), Timestamp: early, Value: fmt.Appendf(nil, `{"transaction_id":%q,"label":%t}`, id, !fraud)})
			}
			records = append(records, &kgo.Record{Topic: topic, Partition: int32(i % 2), Timestamp: late, Value: fmt.Appendf(nil, `{"transaction_id":%q,"label":%d}`, id, map[bool]int{true: 1}[fraud])})
		}
		records = append(records, &kgo.Record{Topic: topic, Value: []byte("nonsense")})
		w.produce(t, records...)
		labels, err := TopicLabels(t.Context(), &w.topics, topic)
		if err != nil || !labels.Newest.Equal(late) {
			t.Fatalf("the newest is of %v, %v", labels.Newest, err)
		}
		candidate := variant(t, "candidate", 0.01, 0.2)
		o := options(candidate)
		o.Labels, o.Verdicts = labels, true
		table, err := NewTable(filepath.Join(t.TempDir(), "rows.parquet"))
		if err != nil {
			t.Fatal(err)
		}
		o.Each = table.Add
		c, err := Run(t.Context(), FromTopic(&w.topics, w.topics.Transactions, w.whole(t, w.topics.Transactions)), &w.topics, o)
		if err := errors.Join(err, table.Close(err == nil)); err != nil {
			t.Fatal(err)
		}
		corrected := int64((len(ids) + 9) / 10)
		if got := c.Labels; got.Labelled != int64(len(ids)) || got.Malformed != 1 || got.Corrected != corrected || got.Unknown != 0 || got.Immature != 0 {
			t.Errorf("%+v of %d", got, len(ids))
		}
		if r := NewReport(c, candidate, nil); r.Sides[0].Frauds != frauds || r.Sides[1].Frauds != frauds {
			t.Errorf("%d and %d frauds, want %d", r.Sides[0].Frauds, r.Sides[1].Frauds, frauds)
		}

		// The table has a line for each input, with what both sides made of it.
		rows, err := parquet.ReadFile[Row](table.name)
		if err != nil || len(rows) != int(w.sent.Transactions) {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		var found [3][3]int64
		refused, known := int64(0), int64(0)
		for _, r := range rows {
			if r.Refusal != "" {
				refused++
				continue
			}
			found[place(t, *r.BaseDecision)][place(t, r.Decision)]++
			if r.Fraud != nil && *r.Fraud {
				known++
			}
			if r.TransactionID == "" || r.EventTime.IsZero() || r.Probability != *r.BaseChance {
				t.Fatalf("%+v", r)
			}
		}
		if found != c.Pairs.Decided || refused != int64(w.sent.Malformed) || known != frauds {
			t.Errorf("in the table %v, %d refused, %d frauds; counted %v", found, refused, known, c.Pairs.Decided)
		}
	})
}

func place(t *testing.T, decision string) int {
	t.Helper()
	at := slices.Index([]string{"approve", "review", "decline"}, decision)
	if at < 0 {
		t.Fatalf("decision %q", decision)
	}
	return at
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	for says, change := range map[string]func(o *Options){
		"no such feature": func(o *Options) { o.Segments = []string{"colour"} },
		"--sample":        func(o *Options) { o.Sample = 0 },
		"--k":             func(o *Options) { o.K = 0 },
		"--maturity":      func(o *Options) { o.Maturity = -1 },
		"--costs needs":   func(o *Options) { o.Costs = costs() },
		"--unlabelled":    func(o *Options) { o.Labels, o.Unlabelled = &Labels{}, "maybe" },
	} {
		o := options(variant(t, "candidate", 0.01, 0.2))
		change(o)
		if _, err := Run(t.Context(), FromFile("nowhere", 1), nil, o); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
	if _, err := Run(t.Context(), FromFile("nowhere.jsonl", 1), nil, options(variant(t, "candidate", 0.01, 0.2))); err == nil || !strings.Contains(err.Error(), "nowhere.jsonl") {
		t.Errorf("a file that is not there: %v", err)
	}
}

func FuzzReadCounts(f *testing.F) {
	b, err := scorer.LoadBundle(bundles.Sample(), scorer.Auto)
	if err != nil {
		f.Fatal(err)
	}
	o := options(b)
	o.Labels = (&Labels{byID: map[uint64]known{}}).sealed()
	for _, c := range []*Counts{newCounts(o, "s"), newCounts(options(b), "s")} {
		text, err := json.Marshal(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"version":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ReadCounts(bytes.NewReader(data))
		if err != nil {
			return
		}
		if err := c.Merge(newCounts(options(b), "s")); err != nil && err.Error() == "" {
			t.Fatal("an error that says nothing")
		}
		r := NewReport(c, nil, nil)
		if err := r.HTML(io.Discard); err != nil {
			t.Fatal(err)
		}
	})
}
