package consumer

import (
	"context"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// assignment holds the processor of each partition that a member owns. The group's callbacks change it, the loop reads it.
type assignment struct {
	mu     sync.Mutex
	owned  map[int32]*processor
	joined bool // the group has given us an assignment, if an empty one
}

func newAssignment() *assignment { return &assignment{owned: map[int32]*processor{}} }

// assigned makes a fresh processor for each partition, also where one stands: it may be of an assignment that was lost unseen.
func (a *assignment) assigned(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.joined = true
	for _, partitions := range topics {
		for _, p := range partitions {
			a.owned[p] = &processor{}
		}
	}
}

func (a *assignment) revoked(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, partitions := range topics {
		for _, p := range partitions {
			delete(a.owned, p)
		}
	}
}

// processor of a partition, nil where it is not ours (any more).
func (a *assignment) processor(partition int32) *processor {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.owned[partition]
}

// restart makes every processor anew: what they held of an aborted transaction is gone.
func (a *assignment) restart() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for p := range a.owned {
		a.owned[p] = &processor{}
	}
}

// partitions that are ours, ascending, and whether the group has answered at all.
func (a *assignment) partitions() ([]int32, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []int32
	for p := range a.owned {
		all = append(all, p)
	}
	slices.Sort(all)
	return all, a.joined
}
