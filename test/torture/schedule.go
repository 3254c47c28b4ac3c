package torture

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// schedule deals faults in an order that its seed alone decides.
type schedule struct {
	rng   *rand.Rand
	kinds []kind
	deck  []*kind // what is left of this deal

	waiting []dealt // dealt, while what they need is held by others
}

// newSchedule is of the kinds that only names, of all when it is empty.
func newSchedule(seed uint64, only []string) (*schedule, error) {
	s := &schedule{rng: rand.New(rand.NewPCG(seed, 0x7027))}
	all := kinds()
	for _, name := range only {
		if !slices.ContainsFunc(all, func(k kind) bool { return k.name == name }) {
			return nil, fmt.Errorf("no fault is called %q; these are: %s", name, strings.Join(Kinds(), ", "))
		}
	}
	for _, k := range all {
		if len(only) == 0 || slices.Contains(only, k.name) {
			s.kinds = append(s.kinds, k)
		}
	}
	return s, nil
}

// Kinds are the names of the faults.
func Kinds() []string {
	var all []string
	for _, k := range kinds() {
		all = append(all, k.name)
	}
	return all
}

// dealt is a fault that is due, with a seed of its own: what it draws does not depend on what happens beside it.
type dealt struct {
	kind   *kind
	target string
	seed   uint64
}

// next deals. Every deck holds each kind as often as it weighs, so none is long in coming.
func (s *schedule) next() dealt {
	if len(s.deck) == 0 {
		for i := range s.kinds {
			for range s.kinds[i].weight {
				s.deck = append(s.deck, &s.kinds[i])
			}
		}
		s.rng.Shuffle(len(s.deck), func(i, j int) { s.deck[i], s.deck[j] = s.deck[j], s.deck[i] })
	}
	k := s.deck[0]
	s.deck = s.deck[1:]
	return dealt{k, k.targets[s.rng.IntN(len(k.targets))], s.rng.Uint64()}
}
