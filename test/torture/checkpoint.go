package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/test/bench/kit"
)

// checkpoint compares everything: it has no more inputs come, waits until all are answered and audited, and looks. The parts of it that pass count in
// report.
type checkpoint struct {
	*World
	admin    *kadm.Client
	audited  map[int32]int64 // offset of the verdicts topic up to which rows were compared
	refused  int             // rows that the database's own backstop refused
	previous map[string]life // of each process, at the last checkpoint
	totals   Totals          // at the last checkpoint
	base     map[string]use  // resources of each process after the first checkpoint
	passed   map[string]int  // checks that were made, by name
}

func newCheckpoint(w *World) (*checkpoint, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(w.topics.Brokers...), kgo.MetadataMinAge(100*time.Millisecond))
	if err != nil {
		return nil, err
	}
	return &checkpoint{World: w, admin: kadm.NewClient(cl), audited: map[int32]int64{}, base: map[string]use{}, passed: map[string]int{}}, nil
}

// check makes all checks. An error means that they could not be made.
func (c *checkpoint) check(ctx context.Context) error {
	if err := c.feeder.Stop(false); err != nil && !errors.Is(err, errNotRunning) {
		c.find("stop", err.Error())
	}
	steps := []struct {
		name string
		do   func(context.Context) error
	}{
		{"answered", c.settle}, {"offsets", c.offsets}, {"audit", c.audit}, {"ready", c.ready}, {"counters", c.counters}, {"resources", c.resources},
	}
	for _, s := range steps {
		if err := s.do(ctx); err != nil {
			return fmt.Errorf("check %s: %w", s.name, err)
		}
		c.passed[s.name]++
	}
	return c.feeder.Start()
}

// settle waits until every input on the topic is read and answered, and every answer read.
func (c *checkpoint) settle(ctx context.Context) error {
	quiet, relieved := time.Now(), time.Now()
	err := until(ctx, c.wait, func() error {
		if err := c.readToTheEnd(ctx); err != nil {
			return err
		}
		if n := c.ledger.Waiting(c.ledger.Mark()); n > 0 {
			if err := c.relieve(ctx, &relieved); err != nil {
				return err
			}
			if time.Since(quiet) > hangsAfter {
				c.unblock(ctx)
			}
			return fmt.Errorf("%d inputs wait for an answer", n)
		}
		return nil
	})
	if ctx.Err() != nil {
		return err
	}
	if err != nil {
		c.find("settled", err.Error())
	}
	c.ledger.Close()
	for _, what := range c.witness.models.wrong() {
		c.find("models", what)
	}
	return nil
}

// relieve sends good inputs while a scorer is halted: after a flood of bad ones at the end of the stream it waits for those, as it should, and the feeder stands still.
func (c *checkpoint) relieve(ctx context.Context, last *time.Time) error {
	const every, good = 5 * time.Second, 3000
	if time.Since(*last) < every {
		return nil
	}
	*last = time.Now()
	for _, p := range c.scorers {
		if n, err := p.Counter(ctx, "mlmonitor_consumer_halted"); err != nil || n == 0 {
			continue // one that is down is not halted
		}
		a := &act{World: c.World, rng: rand.New(rand.NewPCG(c.seed, uint64(last.UnixNano())))}
		values, err := a.events(good, 0)
		if err != nil {
			return err
		}
		c.passed["halted scorers relieved"]++
		return a.send(ctx, values)
	}
	return nil
}

// readToTheEnd is nil when the witness has read all that a read_committed reader can.
func (c *checkpoint) readToTheEnd(ctx context.Context) error {
	topics := append(c.topics.Topics(), c.topics.Models)
	ends, err := c.admin.ListCommittedOffsets(ctx, topics...)
	if err != nil {
		return err
	}
	if err := ends.Error(); err != nil {
		return err
	}
	high, err := c.admin.ListEndOffsets(ctx, topics...)
	if err != nil {
		return err
	}
	ends.Each(func(o kadm.ListedOffset) {
		if end, ok := high.Lookup(o.Topic, o.Partition); !ok || end.Err != nil || end.Offset != o.Offset {
			err = fmt.Errorf("%s partition %d has a transaction that is not ended", o.Topic, o.Partition)
		}
		if read := c.witness.position(o.Topic, o.Partition); read < o.Offset {
			err = fmt.Errorf("%s partition %d is read to %d of %d", o.Topic, o.Partition, read, o.Offset)
		}
	})
	return err
}

// offsets of the scorers' group must be at the end: all is answered. The markers of a transaction do not reach all partitions at the same moment.
func (c *checkpoint) offsets(ctx context.Context) error {
	err := until(ctx, time.Minute, func() error {
		ends, err := c.admin.ListEndOffsets(ctx, c.topics.Transactions)
		if err != nil {
			return err
		}
		committed, err := c.admin.FetchOffsets(ctx, "mlmonitor-score")
		if err != nil {
			return err
		}
		ends.Each(func(end kadm.ListedOffset) {
			at, ok := committed.Lookup(end.Topic, end.Partition)
			if end.Offset > 0 && (!ok || at.At != end.Offset) {
				err = fmt.Errorf("the group stands at %d of %s partition %d, whose end is %d and all of it answered", at.At, end.Topic, end.Partition, end.Offset)
			}
		})
		return err
	})
	if err != nil && ctx.Err() == nil {
		c.find("offsets", err.Error())
		err = nil
	}
	return err
}

// life of a process, and what it had counted.
type life struct {
	number             int
	verdicts, dead     float64
	drift, quality     float64 // the same transactions, as the counters of drift and of quality rules have them
	aborted, undecided float64
}

// counters of the scorers must add up to what stands on the topics: never more, and not less unless a process ended or a commit went unanswered.
func (c *checkpoint) counters(ctx context.Context) error {
	now, sum, exact := map[string]life{}, life{}, true
	for _, p := range c.scorers {
		l, err := counted(ctx, p)
		if err != nil {
			return err
		}
		now[p.Name] = l
		if l.drift != l.verdicts || l.quality != l.verdicts+l.dead {
			c.find("counters", fmt.Sprintf("%s counts %v verdicts and %v dead letters, but %v decisions for drift and %v records for quality", p.Name, l.verdicts, l.dead, l.drift, l.quality))
		}
		before := c.previous[p.Name]
		if l.number != before.number { // counters begin at 0 with a life
			exact = exact && before.number == 0 && l.number == 1
			before = life{}
		}
		sum.verdicts += l.verdicts - before.verdicts
		sum.dead += l.dead - before.dead
		exact = exact && l.undecided == before.undecided
	}
	exact = exact && c.takeRetired() == 0
	totals := c.ledger.Totals()
	verdicts, dead := float64(totals.Verdicts-c.totals.Verdicts), float64(totals.DeadLetters-c.totals.DeadLetters)
	if sum.verdicts > verdicts || sum.dead > dead {
		c.find("counters", fmt.Sprintf("%v verdicts and %v dead letters are counted, %v and %v stand on the topics", sum.verdicts, sum.dead, verdicts, dead))
	}
	if exact {
		c.passed["counters equal"]++
		if sum.verdicts < verdicts || sum.dead < dead {
			c.find("counters", fmt.Sprintf("only %v verdicts and %v dead letters are counted, %v and %v stand on the topics, and no process ended", sum.verdicts, sum.dead, verdicts, dead))
		}
	}
	c.previous, c.totals = now, totals
	return nil
}

func counted(ctx context.Context, p *Process) (l life, err error) {
	l.number, _ = p.Life()
	for _, read := range []struct {
		to     *float64
		metric string
		labels []string
	}{
		{&l.verdicts, "fraud_predictions_total", nil}, {&l.dead, "mlmonitor_dead_letters_total", nil},
		{&l.drift, "fraud_feature_bin_total", []string{`feature="verdict.decision"`}}, {&l.quality, "fraud_quality_checks_total", []string{`rule="type"`}},
		{&l.aborted, "mlmonitor_kafka_transactions_total", []string{`outcome="abort"`}}, {&l.undecided, "mlmonitor_kafka_transactions_total", []string{`outcome="unknown"`}},
	} {
		if *read.to, err = p.Counter(ctx, read.metric, read.labels...); err != nil {
			return l, err
		}
	}
	return l, nil
}

// takeRetired is how many scorers went, with their counters, since it was last asked.
func (w *World) takeRetired() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.retired
	w.retired = 0
	return n
}

// use is what a process holds.
type use struct {
	descriptors int
	residentMiB float64
}

// What a process may hold more than at first: connections to brokers that come and go, and a heap that has seen its largest batch.
const (
	moreDescriptors = 40
	moreMiB         = 150
)

// resources of every process must have come back to their base.
func (c *checkpoint) resources(ctx context.Context) error {
	return until(ctx, 30*time.Second, func() error {
		for _, p := range append(c.scorers[:len(c.scorers):len(c.scorers)], c.writers...) {
			u, err := held(p)
			if err != nil {
				return err
			}
			base, ok := c.base[p.Name]
			if !ok {
				c.base[p.Name] = u
				continue
			}
			if u.descriptors > base.descriptors+moreDescriptors {
				c.find("descriptors", fmt.Sprintf("%s holds %d, it began with %d", p.Name, u.descriptors, base.descriptors))
			}
			if u.residentMiB > base.residentMiB+moreMiB {
				c.find("memory", fmt.Sprintf("%s holds %.0f MiB, it began with %.0f", p.Name, u.residentMiB, base.residentMiB))
			}
		}
		return nil
	})
}

// held is what a process holds now.
func held(p *Process) (u use, err error) {
	if u.descriptors, err = p.Descriptors(); err != nil {
		return u, err
	}
	_, pid := p.Life()
	u.residentMiB, err = kit.ResidentMiB(pid)
	return u, err
}
