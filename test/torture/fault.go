package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// kind is one way to hurt the world.
type kind struct {
	name    string
	weight  int      // how often it comes, against the others
	kills   bool     // it ends a process by SIGKILL
	targets []string // one is drawn
	needs   []string // what else it holds besides its target: two faults never hold the same
	// do hurts the target, and lifts the fault again; it says what shows that the fault happened. errVoid: it did not.
	do func(ctx context.Context, a *act) (evidence string, err error)
}

// act is one fault as drawn.
type act struct {
	*World
	kind   *kind
	target string
	rng    *rand.Rand
}

// errVoid marks a fault that did not happen: its round does not count.
var errVoid = errors.New("the fault did not happen")

// holds what no other fault may touch meanwhile.
func (a *act) holds() []string {
	all := append(a.kind.needs[:len(a.kind.needs):len(a.kind.needs)], a.target)
	if a.target == peersOfANode {
		all = append(all, aNodeOnly)
	}
	return all
}

// between draws a time.
func (a *act) between(least, most time.Duration) time.Duration {
	return least + time.Duration(a.rng.Int64N(int64(most-least)+1))
}

// sleep waits, unless all ends.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// held puts a fault in force, waits, and lifts it, whatever happens meanwhile.
func hold(ctx context.Context, d time.Duration, begin, lift func() error) error {
	if err := begin(); err != nil {
		return err
	}
	err := sleep(ctx, d)
	return errors.Join(err, lift())
}

// process of the target.
func (a *act) process() *Process {
	for _, p := range append(a.scorers[:len(a.scorers):len(a.scorers)], a.writers...) {
		if p.Name == a.target {
			return p
		}
	}
	panic("no process is called " + a.target)
}

// rises waits, not for long, until a counter of the target is above what it was, and says so; errVoid when it does not.
func rises(ctx context.Context, what string, before float64, now func() (float64, error)) (string, error) {
	var value float64
	err := until(ctx, 12*time.Second, func() (err error) {
		if value, err = now(); err == nil && value <= before {
			err = fmt.Errorf("%s stay at %v", what, before)
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("%w: %w", errVoid, err)
	}
	return fmt.Sprintf("%s: %v more", what, value-before), nil
}

// kinds of faults, all of them.
func kinds() []kind {
	var all []kind
	for _, some := range [][]kind{processKinds(), brokerKinds(), wireKinds(), postgresKinds(), streamKinds(), clockKinds(), modelKinds(), embeddedKinds()} {
		all = append(all, some...)
	}
	return all
}

// names "PREFIX-1" to "PREFIX-n".
func numbered(prefix string, n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("%s-%d", prefix, i+1))
	}
	return all
}
