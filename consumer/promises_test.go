package consumer

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/schemas"
)

// promises are what the loop owes on any broker: the embedded one and a real one are held to the same.
var promises = []struct {
	name string
	test func(*testing.T, *cluster)
}{
	{"EveryInputHasOneAnswer", everyInputHasOneAnswer},
	{"CountersOfReplicasAddUp", countersOfReplicasAddUp},
	{"ASwapIsBetweenTransactionsAndTold", aSwapIsBetweenTransactionsAndTold},
	{"AnIdleMemberTellsOfASwap", anIdleMemberTellsOfASwap},
	{"APromotionWaitsForTheFirstScorer", aPromotionWaitsForTheFirstScorer},
	{"AnOffsetFromBeforeTheLastAnswersIsNotBelieved", anOffsetFromBeforeTheLastAnswersIsNotBelieved},
	{"NothingIsAnsweredBesideAnOpenTransaction", nothingIsAnsweredBesideAnOpenTransaction},
	{"ACanaryDecidesForItsKeysAndIsTold", aCanaryDecidesForItsKeysAndIsTold},
	{"AReplyIsTheAnswerAndInItsTransaction", aReplyIsTheAnswerAndInItsTransaction},
	{"WithoutATopicOfRepliesScoringGoesOn", withoutATopicOfRepliesScoringGoesOn},
	{"AChallengerScoresAndDecidesNothing", aChallengerScoresAndDecidesNothing},
	{"AFailingChallengerTouchesNothing", aFailingChallengerTouchesNothing},
	{"AVerdictKeepsKeyPartitionAndTimestamp", aVerdictKeepsItsInputsPlace},
	{"ADeadLetterKeepsBytesAndHeaders", aDeadLetterKeepsBytesAndHeaders},
	{"ASecondRunGivesTheSameBytes", aSecondRunGivesTheSameBytes},
	{"MembersComeAndGo", membersComeAndGo},
	{"ABrokenStreamStopsAndGoesOn", aBrokenStreamStopsAndGoesOn},
	{"ABatchThatIsRefusedHalfSentLeavesNothing", aBatchRefusedHalfSentLeavesNothing},
	{"ARedriveIsExactlyOnce", aRedriveIsExactlyOnce},
	{"ATakenInstanceEnds", aTakenInstanceEnds},
	{"AnAbortedInputIsNotAnswered", anAbortedInputIsNotAnswered},
	{"DeletedInputsAreNotPassedOver", deletedInputsAreNotPassedOver},
}

func TestPromisesOnTheEmbeddedBroker(t *testing.T) {
	keepPromises(t, onEmbedded)
}

// keepPromises holds processes of one member and of two to the promises.
func keepPromises(t *testing.T, on func(*testing.T) *cluster) {
	for _, members := range []int{1, 2} {
		for _, p := range promises {
			t.Run(fmt.Sprintf("%s/%d", p.name, members), func(t *testing.T) {
				c := on(t)
				c.members = members
				p.test(t, c)
			})
		}
	}
}

func everyInputHasOneAnswer(t *testing.T, c *cluster) {
	m := c.start(t, c.config("a"), sample(t))
	sent := c.send(t, 0, 3000, 0.02)
	found := c.answered(t, 3000)
	dead := 0
	for _, a := range found {
		if !strings.HasPrefix(a[0], "{\"transaction_id\"") {
			dead++
		}
	}
	if dead != int(sent.Malformed) || dead == 0 {
		t.Errorf("%d dead letters for %d malformed events", dead, sent.Malformed)
	}
	eventually(t, "the member is ready", func() bool { return m.Ready(t.Context()) == nil })
	eventually(t, "fraud_predictions_total says how many verdicts are on the topic", func() bool { return predicted(m, loaded().ID.Version) == float64(3000-dead) })
	if err := m.end(t); err != nil {
		t.Errorf("a stopped member returns %v", err)
	}
}

func aVerdictKeepsItsInputsPlace(t *testing.T, c *cluster) {
	c.send(t, 0, 200, 0)
	c.start(t, c.config("a"), sample(t))
	c.answered(t, 200)
	type place struct {
		Key       string
		Partition int32
		Millis    int64
	}
	want, got := map[schemas.Source]place{}, map[schemas.Source]place{}
	var offsets [6][]int64 // of the inputs, in the order of their verdicts
	c.read(t, c.topics.Transactions, func(r *kgo.Record) {
		want[schemas.Source{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}] = place{string(r.Key), r.Partition, r.Timestamp.UnixMilli()}
	})
	c.read(t, c.topics.Verdicts, func(r *kgo.Record) {
		v, err := schemas.ParseVerdict(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		got[v.Source] = place{string(r.Key), r.Partition, r.Timestamp.UnixMilli()}
		offsets[r.Partition] = append(offsets[r.Partition], v.Source.Offset)
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for p, order := range offsets {
		for i := 1; i < len(order); i++ {
			if order[i] <= order[i-1] {
				t.Errorf("partition %d: the verdict of offset %d comes after that of %d", p, order[i], order[i-1])
			}
		}
	}
}

func aDeadLetterKeepsBytesAndHeaders(t *testing.T, c *cluster) {
	value := "{\"transaction_id\": \xff\x00}"
	c.sendRaw(t, []kgo.RecordHeader{{Key: "team", Value: []byte("cards")}, {Key: "bin", Value: []byte{0, 255}}}, value)
	b := sample(t)
	c.start(t, c.config("a"), b)
	c.answered(t, 1)
	c.read(t, c.topics.DeadLetters, func(r *kgo.Record) {
		d, err := producer.ParseDeadLetter(r)
		if err != nil {
			t.Fatal(err)
		}
		if string(r.Value) != value || string(r.Key) != "key" || r.Timestamp.UnixMilli() != 1_770_000_000_123 {
			t.Errorf("the dead letter is %q under %q at %v", r.Value, r.Key, r.Timestamp)
		}
		if diff := cmp.Diff([]kgo.RecordHeader{{Key: "team", Value: []byte("cards")}, {Key: "bin", Value: []byte{0, 255}}}, r.Headers[:2]); diff != "" {
			t.Error(diff)
		}
		if d.Attempt != 1 || d.Source.Topic != c.topics.Transactions || d.Bundle != b.ID.Digest || d.Class == "" || d.Message == "" {
			t.Errorf("headers say %+v", d)
		}
	})
}

func aSecondRunGivesTheSameBytes(t *testing.T, c *cluster) {
	c.send(t, 0, 1000, 0.05)
	first := c.start(t, c.config("a"), sample(t))
	want := c.answered(t, 1000)
	first.end(t)
	again := *c
	again.group += "-again"
	again.topics.Verdicts, again.topics.DeadLetters = c.topics.Verdicts+"-again", c.topics.DeadLetters+"-again"
	layOut(t, &again)
	small := again.config("b")
	small.TxnMaxRecords = 7 // other batches, other transactions
	again.start(t, small, sample(t))
	if diff := cmp.Diff(want, again.answered(t, 1000)); diff != "" {
		t.Error(diff)
	}
}

func membersComeAndGo(t *testing.T, c *cluster) {
	const rounds = 4
	a := c.start(t, c.config("a"), sample(t))
	for i := range uint64(rounds) {
		b := c.start(t, c.config("b"), sample(t))
		c.send(t, i*500, 500, 0.02)
		eventually(t, "the second member is ready", func() bool { return b.Ready(t.Context()) == nil })
		c.send(t, 10_000+i*500, 500, 0.02)
		if err := b.end(t); err != nil {
			t.Fatal(err)
		}
	}
	c.answered(t, rounds*1000)
	eventually(t, "the member that stayed is ready", func() bool { return a.Ready(t.Context()) == nil })
}

func aBrokenStreamStopsAndGoesOn(t *testing.T, c *cluster) {
	cfg := c.config("a")
	cfg.DeadLetterWindow = 200
	m := c.start(t, cfg, sample(t))
	c.send(t, 0, 400, 1)
	eventually(t, "consumption stops", func() bool { return m.halted() })
	eventually(t, "ready says why", func() bool { // a second member may still join
		err := m.Ready(t.Context())
		return err != nil && strings.Contains(err.Error(), "CONSUMER_MAX_DEAD_LETTER_RATIO")
	})
	if n := len(c.answers(t)); n > 200 {
		t.Errorf("%d of 400 bad records went to the dead-letter topic before the stop", n)
	}
	c.send(t, 1000, 600, 0) // the producer is mended
	c.answered(t, 1000)
	eventually(t, "the member is ready again", func() bool { return m.Ready(t.Context()) == nil })
}

func aBatchRefusedHalfSentLeavesNothing(t *testing.T, c *cluster) {
	const good, bad = 8000, 10_000 // of all, too many; and many times what is sent at once
	c.send(t, 0, good, 0)
	c.send(t, good, bad, 1)
	// Whether the client has written anything by the time that the batch is refused is for the scheduler to say: a group that had not begins anew.
	for first, sent := c.group, false; !sent; {
		cfg := c.config("a")
		c.group = fmt.Sprintf("%s-%d", first, clusters.Add(1))
		cfg.Group, cfg.TxnMaxRecords, cfg.TxnInterval = c.group, good+bad, time.Second // one batch, or one of each member
		m := c.start(t, cfg, sample(t))
		eventually(t, "consumption stops", m.halted)
		for range 20 {
			if sent = c.written(t); sent {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		if !sent {
			m.end(t)
		}
	}
	if n := len(c.answers(t)); n != 0 {
		t.Errorf("%d answers of a refused batch are visible", n)
	}
	c.send(t, good+bad, 2*good, 0) // the producer is mended
	c.answered(t, good+bad+2*good)
}

// written says whether anything stands on the verdicts topic, committed or not.
func (c *cluster) written(t *testing.T) bool {
	t.Helper()
	whole, err := kafka.Whole(t.Context(), &c.topics, c.topics.Verdicts)
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(slices.Collect(maps.Values(whole.To)), func(to int64) bool { return to > 0 })
}

func aRedriveIsExactlyOnce(t *testing.T, c *cluster) {
	cfg := c.config("a")
	cfg.MaxDeadLetterRatio = 1
	m := c.start(t, cfg, sample(t))
	sent := c.send(t, 0, 1000, 0.1)
	c.answered(t, 1000)
	letters := func() (attempts map[int]int) {
		attempts = map[int]int{}
		err := OpenDeadLetters(t.Context(), &cfg, &c.topics, false, func(d producer.DeadLetter, err error) error {
			attempts[d.Attempt]++
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return attempts
	}
	// A transaction's end is answered before readers see it: what is open is asked until it is so.
	open := func(want map[int]int) {
		t.Helper()
		eventually(t, fmt.Sprintf("open by attempts: %v", want), func() bool { return cmp.Equal(want, letters()) })
	}
	open(map[int]int{1: int(sent.Malformed)})
	m.end(t)
	silent := func(Redriven) {}
	kept, err := Redrive{Classes: []schemas.Class{"no_such_class"}, MaxAttempts: 2}.Run(t.Context(), &cfg, &c.topics, silent)
	if err != nil || kept.Kept != int(sent.Malformed) || kept.Redriven != 0 {
		t.Fatalf("another class: %+v, %v", kept, err)
	}
	open(map[int]int{1: int(sent.Malformed)})
	done, err := Redrive{MaxAttempts: 2}.Run(t.Context(), &cfg, &c.topics, silent)
	if err != nil || done.Redriven != int(sent.Malformed) {
		t.Fatalf("redrive of %d: %+v, %v", sent.Malformed, done, err)
	}
	open(map[int]int{})
	c.start(t, cfg, sample(t))
	open(map[int]int{2: int(sent.Malformed)}) // refused again
	done, err = Redrive{MaxAttempts: 2}.Run(t.Context(), &cfg, &c.topics, silent)
	if err != nil || done.Redriven != 0 || done.Exhausted != int(sent.Malformed) {
		t.Errorf("a second redrive: %+v, %v", done, err)
	}
	open(map[int]int{2: int(sent.Malformed)})
}

func aTakenInstanceEnds(t *testing.T, c *cluster) {
	first := c.start(t, c.config("same"), sample(t))
	c.send(t, 0, 100, 0)
	c.answered(t, 100)
	second := c.start(t, c.config("same"), sample(t))
	select {
	case err := <-first.done:
		first.done <- err
		if !errors.Is(err, ErrInstanceTaken) {
			t.Errorf("the first process ends with %v", err)
		}
	case err := <-second.done:
		second.done <- err
		t.Fatalf("the second process ended: %v", err)
	case <-time.After(150 * time.Second):
		// Mostly it takes seconds. The embedded broker never answers a join that another of the same name replaced, which Kafka fences: the client gives up after 70 s.
		t.Fatal("two processes run under one INSTANCE_ID")
	}
	c.send(t, 100, 100, 0)
	c.answered(t, 200)
}

func deletedInputsAreNotPassedOver(t *testing.T, c *cluster) {
	c.send(t, 0, 100, 0)
	m := c.start(t, c.config("a"), sample(t))
	c.answered(t, 100)
	m.end(t)
	c.send(t, 100, 600, 0)
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.topics.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	whole, err := kafka.Whole(t.Context(), &c.topics, c.topics.Transactions)
	if err != nil {
		t.Fatal(err)
	}
	upTo := kadm.Offsets{} // retention takes all but the last input of each partition
	for p, to := range whole.To {
		upTo.AddOffset(c.topics.Transactions, p, to-1, -1)
	}
	deleted, err := kadm.NewClient(cl).DeleteRecords(t.Context(), upTo)
	if err := errors.Join(err, deleted.Error()); err != nil {
		t.Fatal(err)
	}
	m = c.start(t, c.config("a"), sample(t))
	eventually(t, "readiness says that inputs are gone", func() bool {
		err := m.Ready(t.Context())
		return err != nil && strings.Contains(err.Error(), "OFFSET_OUT_OF_RANGE")
	})
	if n := len(c.answers(t)); n != 100 {
		t.Errorf("%d answers: the scorer went on past inputs that were deleted", n)
	}
}

func anAbortedInputIsNotAnswered(t *testing.T, c *cluster) {
	upstream, err := kgo.NewClient(kgo.SeedBrokers(c.topics.Brokers...), kgo.TransactionalID(c.group+"-upstream"), kgo.DefaultProduceTopic(c.topics.Transactions))
	if err != nil {
		t.Fatal(err)
	}
	defer upstream.Close()
	for _, keep := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit} {
		if err := upstream.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := upstream.ProduceSync(t.Context(), &kgo.Record{Key: []byte("k"), Value: []byte("never mind")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := upstream.EndTransaction(t.Context(), keep); err != nil {
			t.Fatal(err)
		}
	}
	c.start(t, c.config("a"), sample(t))
	eventually(t, "the committed input is answered", func() bool { return len(c.answers(t)) > 0 })
	if n := len(c.answers(t)); n != 1 {
		t.Errorf("%d answers to one committed input", n)
	}
	eventually(t, "the markers behind the last input count as answered", func() bool {
		lag, err := Lag(t.Context(), &c.topics, c.group)
		return err == nil && lag == 0
	})
}
