package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/scorer"
)

// Force is what is to decide. It is immutable, and changes as a whole.
type Force struct {
	Champion   *scorer.Bundle
	Challenger *scorer.Bundle // nil where there is none, or where it is the champion
	Share      float64        // of the keys for which the challenger decides, as a canary; 0: it decides nothing
	Reason     string         // why it is in force, for those who look later
}

// canary is the bundle that decides for a share of the keys; nil where none does.
func (f *Force) canary() *schemas.Canary {
	if f.Challenger == nil || f.Share == 0 {
		return nil
	}
	return &schemas.Canary{Bundle: f.Challenger.ID, Share: f.Share}
}

// decidesAs says that the two decide alike: a challenger in the shadow decides nothing.
func (f *Force) decidesAs(g *Force) bool {
	a, b := f.canary(), g.canary()
	return f.Champion == g.Champion && (a == nil) == (b == nil) && (a == nil || *a == *b)
}

// deciders are those of a Force, without the bundles themselves: who was told of them need not hold them in memory.
type deciders struct {
	champion schemas.BundleID
	canary   schemas.Canary // none: it is of no bundle
}

func (f *Force) deciders() deciders {
	d := deciders{champion: f.Champion.ID}
	if c := f.canary(); c != nil {
		d.canary = *c
	}
	return d
}

// Models says what is in force. It changes between two transactions, never inside one.
type Models struct {
	mu         sync.Mutex
	force      *Force
	challenger *scorer.Bundle // as it was set: it is none while it is the champion too
	share      float64
	changed    chan struct{} // closed when there is another
}

// NewModels begins with a champion.
func NewModels(b *scorer.Bundle, reason string) *Models {
	return &Models{force: &Force{Champion: b, Reason: reason}, changed: make(chan struct{})}
}

// Set puts another champion in force; reason says why.
func (m *Models) Set(b *scorer.Bundle, reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(b, reason)
}

// SetChallenger puts a bundle into the champion's shadow; nil takes it away. For a share of the keys, 0 to schemas.MaxCanaryShare, it decides.
func (m *Models) SetChallenger(b *scorer.Bundle, share float64, reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.challenger, m.share = b, share
	m.put(m.force.Champion, reason)
}

func (m *Models) put(champion *scorer.Bundle, reason string) {
	next := &Force{Champion: champion, Reason: reason}
	if m.challenger != nil && m.challenger.ID != champion.ID {
		next.Challenger, next.Share = m.challenger, m.share
	}
	m.force = next
	close(m.changed)
	m.changed = make(chan struct{})
}

// Current gives what is in force, and what is closed when it no longer is.
func (m *Models) Current() (*Force, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.force, m.changed
}

// adopt takes what is in force now, before a transaction begins.
func (s *session) adopt() {
	next, _ := s.models.Current()
	before := s.force
	if before == next {
		return
	}
	s.force = next
	if before != nil && before.decidesAs(next) {
		return
	}
	previous := ""
	if before != nil {
		previous = before.Champion.ID.Digest
		b := next.Champion.ID
		about := []any{"bundle", b.Name, "version", b.Version, "digest", b.Digest, "previous", previous, "reason", next.Reason}
		if c := next.canary(); c != nil {
			about = append(about, "canary", c.Bundle.Digest, "share", c.Share)
		}
		s.log.Info("bundle swapped", about...)
	}
	s.metrics.force(next)
	s.answers = newAnswers(s.topics, next, s.shelf, s.replies)
	s.announcement = announcement{reason: next.Reason, previous: previous}
}

// announcement is what the topic of models is told of the bundle that the session has adopted.
type announcement struct {
	reason, previous string
	generation       int            // of the assignment that told is of
	told             map[int32]bool // partitions of which it was said from which offset on the bundle decides
	pending          []int32        // those of the open transaction
	record           kgo.Record
}

// announce sends the event of the batch's partitions of which this bundle was not said yet, in the open transaction: with the transaction's verdicts it stands or falls, and so
// does the claim that the partitions are ours. After an abort, or when partitions came or went, it is said again.
func (s *session) announce(ctx context.Context) error {
	a := &s.announcement
	if generation := s.assigned.generation(); a.told == nil || a.generation != generation {
		a.told, a.generation = map[int32]bool{}, generation
	}
	a.pending = a.pending[:0]
	offsets := map[int32]int64{}
	for _, run := range s.batch.runs {
		if _, there := offsets[run.partition]; !there && !a.told[run.partition] {
			offsets[run.partition] = run.inputs[0].Offset
			a.pending = append(a.pending, run.partition)
		}
	}
	if len(offsets) == 0 && s.reported() {
		return nil
	}
	return s.event(ctx, offsets)
}

// event sends what is said of some partitions, or, of none, that this member has the bundle.
func (s *session) event(ctx context.Context, offsets map[int32]int64) error {
	if s.topics.Models == "" {
		return nil
	}
	a := &s.announcement
	event := schemas.ModelEvent{Bundle: s.force.Champion.ID, Canary: s.force.canary(), Previous: a.previous, Reason: a.reason, Instance: s.instance, Topic: s.topics.Transactions, Offsets: offsets}
	value, err := event.Encode()
	if err != nil {
		return fmt.Errorf("write the event of bundle %s: %w", s.force.Champion.ID.Digest, err)
	}
	a.record = kgo.Record{Topic: s.topics.Models, Partition: 0, Key: []byte(s.instance), Value: value}
	s.txn.Produce(ctx, &a.record, s.delivery.done)
	return nil
}

// announced keeps what was said, when its transaction has committed.
func (s *session) announced() {
	s.told = s.force.deciders()
	for _, p := range s.announcement.pending {
		s.announcement.told[p] = true
	}
}

// reported says that the topic of models was told that this member has what it has adopted.
func (s *session) reported() bool { return s.told == s.force.deciders() || s.topics.Models == "" }

// report says which bundle this member has, where there is nothing to score: in a transaction of its own, which claims nothing of any partition.
func (s *session) report(ctx context.Context) error {
	<-s.ended
	if err := s.txn.Begin(); err != nil {
		return fmt.Errorf("begin a transaction: %w", err)
	}
	s.delivery.begin()
	if err := s.event(ctx, nil); err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, s.cfg.TxnTimeout)
	defer cancel()
	if err := s.txn.Client().Flush(bounded); err != nil {
		return fmt.Errorf("no answer from the brokers within %v: %w", s.cfg.TxnTimeout, err)
	}
	if err := s.delivery.err(); err != nil {
		return fmt.Errorf("tell of bundle %s: %w", s.force.Champion.ID.Digest, err)
	}
	// Not by the session, which would wait for half a second where no offset is committed.
	if err := s.txn.Client().EndTransaction(bounded, kgo.TryCommit); err != nil {
		return fmt.Errorf("end the transaction: %w", err)
	}
	s.ended = ending(ctx, s.txn.Client(), s.transactionalID(), endingReply, endingLimit)
	s.told = s.force.deciders()
	return nil
}

// WaitForBundle returns when every member of the group of scorers has said that it has what is wanted; waiting is called with the names of those that have not, whenever
// they change. It reads the topic of models, and who is in the group.
func WaitForBundle(ctx context.Context, topics *kafka.Config, group string, wanted func(*schemas.ModelEvent) bool, waiting func(members []string)) error {
	opts, err := topics.Options()
	if err != nil {
		return err
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	last := ""
	for {
		missing, err := without(ctx, kadm.NewClient(cl), topics, group, wanted)
		if err != nil {
			return err
		}
		if len(missing) == 0 {
			return nil
		}
		if now := fmt.Sprint(missing); now != last {
			waiting(missing)
			last = now
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d members of %s do not say that they have the bundle: %v: %w", len(missing), group, missing, ctx.Err())
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// without are the members whose last word is of another bundle, or that said none.
func without(ctx context.Context, adm *kadm.Client, topics *kafka.Config, group string, wanted func(*schemas.ModelEvent) bool) ([]string, error) {
	described, err := adm.DescribeGroups(ctx, group)
	if err == nil {
		err = described.Error()
	}
	if errors.Is(err, kerr.GroupIDNotFound) {
		err = nil // nobody has joined it yet
	}
	if err != nil {
		return nil, fmt.Errorf("ask who is in group %s: %w", group, err)
	}
	whole, err := kafka.Whole(ctx, topics, topics.Models)
	if err != nil {
		return nil, err
	}
	has := map[string]bool{}
	err = kafka.Read(ctx, topics, topics.Models, whole, func(r *kafka.Record) error {
		e, err := schemas.ParseModelEvent(r.Value)
		if err != nil {
			return fmt.Errorf("%s offset %d: %w", topics.Models, r.Offset, err)
		}
		has[e.Instance] = wanted(&e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	members := described[group].Members
	if len(members) == 0 {
		return []string{"(nobody scores)"}, nil
	}
	var missing []string
	for _, m := range members {
		name := m.MemberID
		if m.InstanceID != nil {
			name = *m.InstanceID
		}
		if !has[name] {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	return missing, nil
}
