package drift

import (
	"maps"
	"slices"
	"time"
)

// maxStretches bounds a timeline: with more, neighbours are joined.
const maxStretches = 400

// Timeline counts a whole range of transactions, in any order, by stretches of event time. Unlike a monitor it has all of them before it judges, so that none is
// late, and the same transactions give the same counts whatever their order.
type Timeline struct {
	profile    *Profile
	counter    counter
	hop, ahead int64   // milliseconds
	beyond     *Counts // of the early ones, which are in no stretch
	early      int64
	stretches  map[int64]*Counts

	lastIndex int64
	last      *Counts // of lastIndex: neighbours in the input are so in time; nil for none
}

// NewTimeline takes stretches of hop, or longer where there would be more than 400. ahead is as Config.Ahead.
func NewTimeline(p *Profile, hop, ahead time.Duration) *Timeline {
	return &Timeline{profile: p, counter: newCounter(p), hop: hop.Milliseconds(), ahead: ahead.Milliseconds(), beyond: p.NewCounts(), stretches: map[int64]*Counts{}}
}

// Add counts transactions.
func (t *Timeline) Add(s Scored) {
	for i := range s.Times {
		if s.Timestamps[i] != 0 && s.Times[i]-s.Timestamps[i] > t.ahead {
			t.early++
			t.counter.add(&s, i, t.beyond)
			continue
		}
		index := floorDiv(s.Times[i], t.hop)
		if t.last == nil || index != t.lastIndex {
			if t.stretches[index] == nil {
				t.stretches[index] = t.profile.NewCounts()
			}
			t.lastIndex, t.last = index, t.stretches[index]
		}
		t.counter.add(&s, i, t.last)
		for len(t.stretches) > maxStretches {
			t.join()
		}
	}
}

// join makes stretches twice as long. How often that happens depends on which stretches there are, not on when they came.
func (t *Timeline) join() {
	joined := map[int64]*Counts{}
	for index, counts := range t.stretches {
		if half := floorDiv(index, 2); joined[half] == nil {
			joined[half] = counts
		} else {
			joined[half].Add(counts)
		}
	}
	t.stretches, t.hop, t.last = joined, 2*t.hop, nil
}

// Merge adds what another timeline of the same profile and hop counted.
func (t *Timeline) Merge(o *Timeline) {
	t.beyond.Add(o.beyond)
	t.early += o.early
	t.last = nil
	for t.hop < o.hop {
		t.join()
	}
	for o.hop < t.hop {
		o.join()
	}
	for index, counts := range o.stretches {
		if t.stretches[index] == nil {
			t.stretches[index] = t.profile.NewCounts()
		}
		t.stretches[index].Add(counts)
	}
	for len(t.stretches) > maxStretches {
		t.join()
	}
}

// Total is all that was counted, and how many of it were ahead of their records' time, and are in no stretch.
func (t *Timeline) Total() (all *Counts, early int64) {
	all = t.profile.NewCounts()
	all.Add(t.beyond)
	for _, counts := range t.stretches {
		all.Add(counts)
	}
	return all, t.early
}

// Stretches are those that have a transaction, by time.
func (t *Timeline) Stretches() []Window {
	var all []Window
	for _, index := range slices.Sorted(maps.Keys(t.stretches)) {
		all = append(all, Window{time.UnixMilli(index * t.hop).UTC(), time.UnixMilli((index + 1) * t.hop).UTC(), t.stretches[index]})
	}
	return all
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
