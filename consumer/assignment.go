package consumer

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// assignment holds the processor of each partition that a member owns. The group's callbacks change it, the loop reads it.
type assignment struct {
	mu     sync.Mutex
	owned  map[int32]*processor
	newest map[int32]time.Time // timestamp of the last answered record; until there is one, when the partition was given
	member string              // of the group, who was given them
	joined bool                // the group has given us an assignment, if an empty one
	number int                 // of the assignment: another whenever partitions come or go
	since  map[int32]int       // number of the assignment that gave each partition
}

func newAssignment() *assignment {
	return &assignment{owned: map[int32]*processor{}, newest: map[int32]time.Time{}, since: map[int32]int{}}
}

func (a *assignment) assigned(_ context.Context, cl *kgo.Client, topics map[string][]int32) {
	member, _ := cl.GroupMetadata()
	a.give(member, topics)
}

// give makes a fresh processor for each partition, also where one stands: it may be of an assignment that was lost unseen.
func (a *assignment) give(member string, topics map[string][]int32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.joined = true
	a.number++
	if len(a.owned) == 0 {
		a.member = member
	}
	for _, partitions := range topics {
		for _, p := range partitions {
			a.owned[p] = &processor{}
			a.newest[p] = time.Now()
			a.since[p] = a.number
		}
	}
}

// answered takes note of the timestamp of a partition's last record that was answered.
func (a *assignment) answered(partition int32, timestamp time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.newest[partition] = timestamp
}

// age is how long ago that was.
func (a *assignment) age(partition int32, now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return max(0, now.Sub(a.newest[partition]))
}

func (a *assignment) revoked(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.number++
	for _, partitions := range topics {
		for _, p := range partitions {
			delete(a.owned, p)
			delete(a.newest, p)
			delete(a.since, p)
		}
	}
}

// errNotTheMember means that the group has forgotten the member that polled a batch: others may have answered it since.
var errNotTheMember = errors.New("the group knows this process as another member than the one that was given its partitions")

// sameMember refuses to commit for another member than the one that was given the partitions. A member that the group had given up may hear of it from a
// late answer, join again under a new id, and be given the same partitions: the client keeps what it had fetched, as if nobody could have read it
// meanwhile, and the group would take its offsets. The simulation found batches that were answered twice.
func (a *assignment) sameMember(req *kmsg.TxnOffsetCommitRequest) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if req.MemberID != a.member {
		return errNotTheMember
	}
	return nil
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

// generation is the number of the assignment.
func (a *assignment) generation() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.number
}

// given is the number of the assignment that gave a partition; 0 where it is not ours.
func (a *assignment) given(partition int32) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.since[partition]
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
