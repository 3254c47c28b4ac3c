package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/mlmonitor/mlmonitor/test/rig"
)

// Config says how to torture.
type Config struct {
	Binary string        // the program under torture
	Dir    string        // for the logs of its processes
	Seed   uint64        // decides which faults come in which order
	Rounds int           // faults; 0: until For has passed
	For    time.Duration // 0: until Rounds are done
	Check  time.Duration // between two checkpoints
	Lanes  int           // faults at a time, at most
	Rate   float64       // transactions a second
	Kinds  []string      // only these faults; empty: all
	Wait   time.Duration // for what must settle, before it counts as lost; 0: DefaultWait
	First  bool          // stop at the first finding
	Goals  bool          // a kind whose stalls miss their goal by far is a finding too: for a machine that has nothing else to do
}

// Round is one fault, and what came of it.
type Round struct {
	Number    int           `json:"round"`
	Kind      string        `json:"kind"`
	Target    string        `json:"target"`
	Kill      bool          `json:"kill,omitempty"` // it ended a process by SIGKILL
	Began     time.Time     `json:"began"`
	Lifted    time.Time     `json:"lifted"`
	Recovered time.Time     `json:"recovered"`
	Stall     time.Duration `json:"stall_ns"` // longest of a partition's reader between begin and recovery
	Alone     bool          `json:"alone"`    // no other fault came between
	Void      bool          `json:"void,omitempty"`
	Evidence  string        `json:"evidence"`
}

// DefaultWait is longer than Kafka itself takes to recover from any of the faults.
const DefaultWait = 150 * time.Second

// Run tortures until the rounds are done, the time has passed or ctx ends. The error is nil also when there are findings: it says that the torture
// itself could not go on.
func Run(ctx context.Context, t rig.T, cfg Config) (*Result, error) {
	deal, err := newSchedule(cfg.Seed, cfg.Kinds)
	if err != nil {
		return nil, err
	}
	r := &Result{Seed: cfg.Seed, Lanes: cfg.Lanes, Rate: cfg.Rate, Began: time.Now()}
	w, err := newWorld(ctx, t, &cfg)
	if err != nil {
		return nil, err
	}
	c, err := newCheckpoint(w)
	if err != nil {
		return nil, err
	}
	defer c.admin.Close()
	if err := w.ready(ctx); err != nil {
		return nil, err
	}
	watch := newThroughput(w.ledger)
	defer watch.stop()
	if err := sleep(ctx, 2*time.Second); err != nil {
		return nil, err
	}
	if err := c.check(ctx); err != nil { // what is wrong without any fault is told apart
		return nil, err
	}
	began := time.Now()
	done := func() bool {
		return ctx.Err() != nil || cfg.Rounds > 0 && len(r.Rounds) >= cfg.Rounds || cfg.For > 0 && time.Since(began) >= cfg.For || cfg.First && w.found() > 0
	}
	for !done() && err == nil {
		until := time.Now().Add(cfg.Check)
		l := lanes{World: w, cfg: &cfg, deal: deal, result: r, enough: func() bool { return done() || time.Now().After(until) }}
		if err = l.run(ctx); err == nil {
			err = c.check(context.WithoutCancel(ctx)) // also when interrupted: the result counts
			if cfg.Goals {
				w.checkGoals(r.Rounds)
			}
		}
		w.log("%s", r.line(w))
	}
	r.finish(w, c, watch)
	return r, err
}

// lanes work off the schedule, several faults at a time, until enough; then all are lifted, and the stream has recovered from each.
type lanes struct {
	*World
	cfg    *Config
	deal   *schedule
	result *Result
	enough func() bool

	mu     sync.Mutex
	free   sync.Cond
	held   map[string]bool
	active map[*Round]bool
	err    error
}

func (l *lanes) run(ctx context.Context) error {
	l.free.L, l.held, l.active = &l.mu, map[string]bool{}, map[*Round]bool{}
	var all sync.WaitGroup
	for range l.cfg.Lanes {
		all.Go(func() {
			for l.one(ctx) {
			}
		})
	}
	all.Wait()
	return l.err
}

// one takes the first fault that is due and whose parts are free, and does it.
func (l *lanes) one(ctx context.Context) bool {
	l.mu.Lock()
	var a *act
	for a == nil {
		if l.enough() || l.err != nil || l.cfg.Rounds > 0 && len(l.result.Rounds)+len(l.active) >= l.cfg.Rounds {
			l.mu.Unlock()
			return false
		}
		if a = l.take(); a == nil {
			l.free.Wait()
		}
	}
	round := &Round{Number: int(l.round.Add(1)), Kind: a.kind.name, Target: a.target, Kill: a.kind.kills, Began: time.Now(), Alone: len(l.active) == 0}
	for other := range l.active {
		other.Alone = false
	}
	l.active[round] = true
	l.mu.Unlock()

	err := l.play(ctx, a, round)

	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.active, round)
	for _, name := range a.holds() {
		delete(l.held, name)
	}
	l.result.Rounds = append(l.result.Rounds, *round)
	l.err = errors.Join(l.err, err)
	l.free.Broadcast()
	return err == nil
}

// take gives a fault whose parts are free: one that had to wait, or the next of the schedule.
func (l *lanes) take() *act {
	for i, d := range l.deal.waiting {
		if a := l.grab(d); a != nil {
			l.deal.waiting = slices.Delete(l.deal.waiting, i, i+1)
			return a
		}
	}
	for len(l.deal.waiting) < 300 { // what takes a node is slow: the others go on meanwhile
		d := l.deal.next()
		if a := l.grab(d); a != nil {
			return a
		}
		l.deal.waiting = append(l.deal.waiting, d)
	}
	return nil
}

func (l *lanes) grab(d dealt) *act {
	a := &act{World: l.World, kind: d.kind, target: d.target, rng: rand.New(rand.NewPCG(d.seed, 1))}
	for _, name := range a.holds() {
		if l.held[name] {
			return nil
		}
	}
	for _, name := range a.holds() {
		l.held[name] = true
	}
	return a
}

// play does a fault, waits until what came before its end is answered, and notes what there is to note. An error ends the torture.
func (l *lanes) play(ctx context.Context, a *act, round *Round) error {
	// An interrupt lets what has begun come to its end: the checks that follow want a world in order.
	ctx = context.WithoutCancel(ctx)
	evidence, err := a.kind.do(ctx, a)
	round.Lifted, round.Evidence = time.Now(), evidence
	if errors.Is(err, errVoid) {
		round.Void, round.Evidence, err = true, err.Error(), nil
	}
	if err != nil {
		return fmt.Errorf("round %d, %s of %s: %w", round.Number, round.Kind, round.Target, err)
	}
	if err := l.ready(ctx); err != nil {
		l.find("recovered", fmt.Sprintf("round %d, %s of %s: %v", round.Number, round.Kind, round.Target, err))
	}
	mark := l.ledger.Mark()
	if err := until(ctx, l.wait, func() error {
		if n := l.ledger.Waiting(mark); n > 0 {
			if time.Since(round.Lifted) > hangsAfter {
				l.unblock(ctx)
			}
			return fmt.Errorf("%d inputs from before its end wait for an answer", n)
		}
		return nil
	}); err != nil {
		l.find("recovered", fmt.Sprintf("round %d, %s of %s: %v", round.Number, round.Kind, round.Target, err))
	}
	round.Recovered = time.Now()
	round.Stall = l.ledger.Longest(round.Began, round.Recovered)
	verdict := ""
	if round.Void {
		verdict = "VOID "
	}
	l.log("round %d: %s%s of %s: %s; recovered after %v, stall %v", round.Number, verdict, round.Kind, round.Target, round.Evidence,
		round.Recovered.Sub(round.Lifted).Round(time.Millisecond), round.Stall.Round(time.Millisecond))
	return nil
}
