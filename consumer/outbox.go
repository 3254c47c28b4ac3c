package consumer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"golang.org/x/sync/errgroup"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/schemas"
)

// errStale says that the group gave an offset whose input is answered already.
var errStale = errors.New("the group's offset is behind what is answered")

// errUnsettled says that a transaction on the output topics does not end.
var errUnsettled = errors.New("a transaction does not end")

// Bounds of the look at what stands on the output topics.
const (
	vetTimeout = 5 * time.Second
	firstBack  = 64    // records and ends of transactions from the end of a partition that are looked at first
	mostBack   = 65536 // and at last
)

// vet looks, before the first input of a partition that was given to us is answered, whether it has an answer: an offset that the group gives is believed only if the topics do not say otherwise. Offsets and
// answers are committed together, and a group that answers for a moment from before the last commit, as the torture has seen when two brokers were killed one after the other, would have inputs answered
// twice. The member's client is made anew then, and asks again.
//
// What stands behind a transaction that is still open cannot be seen, and whoever wrote it last may have been us: a broker that was killed has been seen to forget a transaction whose commit it had written down
// (docs/reliability.md). The next commit of the same producer would show its records beside ours. So nothing is answered until what is open has ended.
func (s *session) vet(ctx, work context.Context) error {
	next := map[int32]int64{}
	for _, run := range s.batch.runs {
		if _, there := next[run.partition]; !there && s.vetted[run.partition] != s.assigned.given(run.partition) {
			next[run.partition] = run.inputs[0].Offset
		}
	}
	if len(next) == 0 {
		return nil
	}
	if err := s.settle(ctx, next); err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(work, vetTimeout)
	defer cancel()
	answered, err := lastAnswered(bounded, s.topics, next)
	switch {
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		s.unvetted.Do(func() {
			s.log.Warn("the group's offsets are believed without a look at what is answered: let scorers Read the topics of verdicts and dead letters", "error", err)
		})
	case err != nil:
		return fmt.Errorf("look at what is answered: %w", err)
	}
	for partition, offset := range next {
		if last, ok := answered[partition]; ok && offset <= last {
			return fmt.Errorf("%w: %s partition %d is answered up to offset %d, and the group would have %d answered next", errStale, s.topics.Transactions, partition, last, offset)
		}
	}
	for partition := range next {
		s.vetted[partition] = s.assigned.given(partition)
	}
	return nil
}

// settle waits until no transaction is open in the output partitions of some input partitions: those of members before are decided within the transactions' timeout.
func (s *session) settle(ctx context.Context, of map[int32]int64) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.TxnTimeout+vetTimeout)
	defer cancel()
	adm := kadm.NewClient(s.txn.Client())
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		open, err := openAt(ctx, adm, of, s.topics.Verdicts, s.topics.DeadLetters)
		switch {
		case err != nil && ctx.Err() == nil:
			return fmt.Errorf("look at what is open: %w", err)
		case err == nil && open == "":
			return nil
		}
		select {
		case <-ctx.Done():
			if open == "" {
				return fmt.Errorf("look at what is open: %w", ctx.Err())
			}
			return fmt.Errorf("%w: %s: `mlmonitor topics unblock` says which, and ends it as it was", errUnsettled, open)
		case <-time.After(pause):
		}
	}
}

// openAt names the first of the partitions in which a transaction is open, and from where; empty where there is none.
func openAt(ctx context.Context, adm *kadm.Client, of map[int32]int64, topics ...string) (string, error) {
	stable, err := adm.ListCommittedOffsets(ctx, topics...) // first: what is decided in between counts as open, and is looked at again
	if err == nil {
		err = stable.Error()
	}
	if err != nil {
		return "", err
	}
	ends, err := adm.ListEndOffsets(ctx, topics...)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return "", err
	}
	for _, topic := range topics {
		for p := range of {
			from, known := stable.Lookup(topic, p)
			to, _ := ends.Lookup(topic, p)
			if known && from.Offset < to.Offset {
				return fmt.Sprintf("%s partition %d from offset %d", topic, p, from.Offset), nil
			}
		}
	}
	return "", nil
}

// lastAnswered gives, for each of the partitions, the last input that has a verdict or a dead letter, as far as the end of the topics tells.
func lastAnswered(ctx context.Context, topics *kafka.Config, of map[int32]int64) (map[int32]int64, error) {
	var mu sync.Mutex
	last := map[int32]int64{}
	note := func(s schemas.Source) {
		if s.Topic != topics.Transactions {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if known, ok := last[s.Partition]; !ok || s.Offset > known {
			last[s.Partition] = s.Offset
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return ends(ctx, topics, topics.Verdicts, of, func(r *kafka.Record) bool {
			v, err := schemas.ParseVerdict(r.Value)
			if err == nil {
				note(v.Source)
			}
			return err == nil
		})
	})
	group.Go(func() error {
		return ends(ctx, topics, topics.DeadLetters, of, func(r *kafka.Record) bool {
			d, err := producer.ParseDeadLetter(r)
			if err == nil {
				note(d.Source)
			}
			return err == nil
		})
	})
	return last, group.Wait()
}

// ends reads the ends of some partitions of a topic, from further and further back until found says of a record of each that it is one.
func ends(ctx context.Context, topics *kafka.Config, topic string, of map[int32]int64, found func(*kafka.Record) bool) error {
	whole, err := kafka.Whole(ctx, topics, topic)
	if err != nil {
		return err
	}
	left := map[int32]bool{}
	for p := range of {
		if whole.From[p] < whole.To[p] {
			left[p] = true
		}
	}
	for back := int64(firstBack); len(left) > 0 && back <= mostBack; back *= 16 {
		part := kafka.Range{From: map[int32]int64{}, To: map[int32]int64{}}
		for p := range left {
			part.From[p], part.To[p] = max(whole.From[p], whole.To[p]-back), whole.To[p]
		}
		err := kafka.Read(ctx, topics, topic, part, func(r *kafka.Record) error {
			if found(r) {
				delete(left, r.Partition)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for p := range left {
			if part.From[p] == whole.From[p] {
				delete(left, p)
			}
		}
	}
	return nil
}
