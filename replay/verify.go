package replay

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/scorer"
)

// Difference is an input whose answer is not what its bundle gives, or that has none, or several.
type Difference struct {
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Kind      string `json:"kind"`
	Detail    string `json:"detail"`
}

// Kinds of differences.
const (
	Unanswered    = "unanswered"     // neither a verdict nor a dead letter
	Doubled       = "doubled"        // more than one answer
	Changed       = "changed"        // the verdict has other bytes than its bundle gives
	Misplaced     = "misplaced"      // the verdict has another key or timestamp than its input
	Refused       = "refused"        // a verdict of an input that its bundle refuses
	Letter        = "dead letter"    // a dead letter of an input that its bundle does not refuse, or refuses otherwise
	NotInForce    = "not in force"   // the topic of models says that another bundle decided there
	UnknownBundle = "unknown bundle" // its bundle is nowhere to be found: it cannot be scored again
	OutOfOrder    = "out of order"   // a verdict that stands behind those of later inputs, or of an offset at which no input stands: nobody who scores writes it
)

// maxDifferences is how many are listed; all are counted.
const maxDifferences = 1000

// Verified is what an auditor gets.
type Verified struct {
	Topic       string           `json:"topic"`
	Parts       []PartDone       `json:"parts"`
	Inputs      int64            `json:"inputs"`
	Pending     int64            `json:"pending"`      // of these, not answered yet: the scorers have not come so far
	Verdicts    int64            `json:"verdicts"`     // equal, byte for byte, to what their bundles give
	DeadLetters int64            `json:"dead_letters"` // of inputs that their bundles refuse, for the same reason
	Bundles     map[string]int64 `json:"bundles"`      // verdicts by digest
	Found       map[string]int64 `json:"differences"`  // by kind
	Listed      []Difference     `json:"listed"`       // the first of them
	Partial     bool             `json:"partial"`
}

// Holds says that each input has one answer, and that it is what its bundle gives.
func (v *Verified) Holds() bool { return len(v.Found) == 0 }

func (v *Verified) differs(d Difference) {
	v.Found[d.Kind]++
	if len(v.Listed) < maxDifferences {
		v.Listed = append(v.Listed, d)
	}
}

// Bundles finds bundles by their digests; nil for one that is nowhere.
type Bundles func(ctx context.Context, digest string) (*scorer.Bundle, error)

// Verify scores each input of a range again under the bundle that its answer names, and compares byte by byte; and holds bundles to the topic of models. When ctx ends it returns what was compared
// until then, marked partial. answered is the next input of each partition that the scorers have not answered, as it was a moment before: inputs from there on are pending.
func Verify(ctx context.Context, cfg *kafka.Config, within kafka.Range, answered map[int32]int64, bundles Bundles, workers int, seen func(n int)) (*Verified, error) {
	total := &Verified{Topic: cfg.Transactions, Bundles: map[string]int64{}, Found: map[string]int64{}}
	given, err := settled(ctx, cfg, cfg.Verdicts)
	if err != nil {
		return nil, err
	}
	letters, err := readLetters(ctx, cfg, cfg.Transactions, within)
	if err != nil {
		return nil, err
	}
	events, err := readEvents(ctx, cfg)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	found := map[string]*scorer.Bundle{}
	find := func(digest string) (*scorer.Bundle, error) { // once for all parts
		mu.Lock()
		defer mu.Unlock()
		if b, ok := found[digest]; ok {
			return b, nil
		}
		b, err := bundles(ctx, digest)
		if err == nil {
			found[digest] = b
		}
		return b, err
	}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(max(1, workers))
	for _, part := range FromTopic(cfg, cfg.Transactions, within).Parts {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			v := &verifier{topic: cfg.Transactions, part: part, answered: answered[part.Partition], find: find, letters: letters[part.Partition], told: schemas.NewTimeline(cfg.Transactions), scorers: map[string]*scorer.Scorer{},
				found: &Verified{Bundles: map[string]int64{}, Found: map[string]int64{}}, seen: seen}
			for i := range events {
				v.told.Add(&events[i])
			}
			v.tells = len(events) > 0
			stop, err := v.run(inner, cfg, given)
			if err != nil && ctx.Err() == nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			total.add(v.found, PartDone{cfg.Transactions, part.Partition, part.From, stop, v.found.Inputs})
			return nil
		})
	}
	if err := group.Wait(); err != nil && ctx.Err() == nil {
		return nil, err
	}
	total.Partial = ctx.Err() != nil
	slices.SortFunc(total.Listed, func(a, b Difference) int {
		if a.Partition != b.Partition {
			return int(a.Partition - b.Partition)
		}
		return int(a.Offset - b.Offset)
	})
	return total, nil
}

func (v *Verified) add(o *Verified, part PartDone) {
	v.Parts = append(v.Parts, part)
	slices.SortFunc(v.Parts, func(a, b PartDone) int { return int(a.Partition - b.Partition) })
	v.Inputs += o.Inputs
	v.Pending += o.Pending
	v.Verdicts += o.Verdicts
	v.DeadLetters += o.DeadLetters
	for digest, n := range o.Bundles {
		v.Bundles[digest] += n
	}
	for kind, n := range o.Found {
		v.Found[kind] += n
	}
	v.Listed = append(v.Listed, o.Listed...)
	v.Listed = v.Listed[:min(len(v.Listed), maxDifferences)]
}

func readEvents(ctx context.Context, cfg *kafka.Config) (all []schemas.ModelEvent, err error) {
	if cfg.Models == "" {
		return nil, nil
	}
	whole, err := settled(ctx, cfg, cfg.Models)
	if err != nil {
		return nil, err
	}
	return all, kafka.Read(ctx, cfg, cfg.Models, whole, func(r *kafka.Record) error {
		e, err := schemas.ParseModelEvent(r.Value)
		if err != nil {
			return fmt.Errorf("%s offset %d: %w", r.Topic, r.Offset, err)
		}
		all = append(all, e)
		return nil
	})
}

// verifier compares one partition.
type verifier struct {
	topic    string
	answered int64
	part     Part
	find     func(digest string) (*scorer.Bundle, error)
	letters  map[int64]*letter
	told     *schemas.Timeline
	tells    bool
	scorers  map[string]*scorer.Scorer // nil for bundles that are nowhere
	found    *Verified
	given    *verdicts
	seen     func(int)
	text     []byte
}

func (v *verifier) run(ctx context.Context, cfg *kafka.Config, whole kafka.Range) (stop int64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if v.given, err = follow(ctx, cfg, v.part.Partition, v.part.From, v.part.To, whole, true); err != nil {
		return v.part.From, err
	}
	stop = v.part.From
	err = v.part.read(ctx, func(in *Input) error {
		if err := v.input(in); err != nil {
			return err
		}
		stop = in.Offset + 1
		return nil
	})
	if err != nil {
		return stop, err
	}
	return v.part.To, v.given.until(v.part.To, func(r *recorded) { v.outOfOrder(r) })
}

func (v *verifier) differ(offset int64, kind, format string, args ...any) {
	v.found.differs(Difference{v.part.Partition, offset, kind, fmt.Sprintf(format, args...)})
}

func (v *verifier) outOfOrder(r *recorded) {
	v.differ(r.verdict.Source.Offset, OutOfOrder, "a verdict of it stands at offset %d of partition %d, behind those of later inputs, or there is no such input", r.position, v.part.Partition)
}

// input compares one input's answers.
func (v *verifier) input(in *Input) error {
	v.found.Inputs++
	if v.seen != nil {
		v.seen(1)
	}
	var answers []recorded
	err := v.given.until(in.Offset, func(r *recorded) {
		if r.verdict.Source.Offset < in.Offset {
			v.outOfOrder(r)
			return
		}
		answers = append(answers, *r)
	})
	if err != nil {
		return err
	}
	dead := v.letters[in.Offset]
	switch {
	case len(answers) == 0 && dead == nil && in.Offset >= v.answered:
		v.found.Pending++
		return nil
	case len(answers) == 0 && dead == nil:
		v.differ(in.Offset, Unanswered, "neither a verdict nor a dead letter names it")
		return nil
	case len(answers) > 1 || len(answers) == 1 && dead != nil:
		v.differ(in.Offset, Doubled, "%d verdicts and %d dead letters", len(answers), count(dead))
		return nil
	case dead != nil:
		return v.letter(in, dead)
	}
	return v.verdict(in, &answers[0])
}

func count(l *letter) int {
	if l == nil {
		return 0
	}
	return l.count
}

// under scores an input again under a bundle; false where the bundle is nowhere.
func (v *verifier) under(in *Input, digest string) (*scorer.Outcome, bool, error) {
	s, known := v.scorers[digest]
	if !known {
		b, err := v.find(digest)
		if err != nil {
			return nil, false, err
		}
		if b != nil {
			s = b.NewScorer()
		}
		v.scorers[digest] = s
	}
	if s == nil {
		return nil, false, nil
	}
	s.Reset()
	s.Add(in.Value, in.Timestamp)
	outcomes, err := s.Score()
	if err != nil {
		return nil, false, err
	}
	return &outcomes[0], true, nil
}

// inForce holds a bundle to what the topic of models says.
func (v *verifier) inForce(in *Input, digest string) {
	if !v.tells {
		return
	}
	said, ok := v.told.At(in.Partition, in.Offset, in.Key)
	if !ok {
		v.differ(in.Offset, NotInForce, "the topic of models says nothing of it; its answer names %s", digest)
	} else if said.Digest != digest {
		v.differ(in.Offset, NotInForce, "the topic of models says %s, its answer %s", said.Digest, digest)
	}
}

func (v *verifier) verdict(in *Input, r *recorded) error {
	digest := r.verdict.Bundle.Digest
	v.found.Bundles[digest]++
	v.inForce(in, digest)
	o, there, err := v.under(in, digest)
	switch {
	case err != nil:
		return err
	case !there:
		v.differ(in.Offset, UnknownBundle, "%s is neither in the cache nor in the registry: name its folder with --bundle-dir", digest)
		return nil
	case o.Err != nil:
		v.differ(in.Offset, Refused, "%s refuses it: %v", digest, o.Err)
		return nil
	case !bytes.Equal(r.key, in.Key) || r.timestamp != in.Timestamp.UnixMilli():
		v.differ(in.Offset, Misplaced, "the verdict has key %.40q and timestamp %d, the input %.40q and %d", r.key, r.timestamp, in.Key, in.Timestamp.UnixMilli())
		return nil
	}
	o.Verdict.Source = schemas.Source{Topic: v.topic, Partition: in.Partition, Offset: in.Offset}
	if v.text, err = o.Verdict.Append(v.text[:0]); err != nil {
		return err
	}
	if !bytes.Equal(v.text, r.value) {
		v.differ(in.Offset, Changed, "it is %s, scored again it is %s", r.value, v.text)
		return nil
	}
	v.found.Verdicts++
	return nil
}

func (v *verifier) letter(in *Input, dead *letter) error {
	v.inForce(in, dead.bundle)
	o, there, err := v.under(in, dead.bundle)
	switch {
	case err != nil:
		return err
	case !there:
		v.differ(in.Offset, UnknownBundle, "%s is neither in the cache nor in the registry: name its folder with --bundle-dir", dead.bundle)
	case o.Err == nil:
		v.differ(in.Offset, Letter, "it is a dead letter of class %s, and %s scores it", dead.class, dead.bundle)
	case o.Err.Class != dead.class:
		v.differ(in.Offset, Letter, "it is a dead letter of class %s, %s refuses it as %s", dead.class, dead.bundle, o.Err.Class)
	default:
		v.found.DeadLetters++
	}
	return nil
}

// Kinds of what was found, in their order.
func (v *Verified) Kinds() []string { return slices.Sorted(maps.Keys(v.Found)) }
