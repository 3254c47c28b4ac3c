package schemas

// Timeline is what the topic of models says of one input topic: which bundle decides at which offset. Each verdict is under the bundle of the last event, in the topic's order, that
// names its partition with an offset at or below its own; or, where that event names a canary which takes the record's key, under the canary's. It is not for concurrent use.
type Timeline struct {
	topic string
	told  map[int32][]told
}

type told struct {
	from     int64
	champion BundleID
	canary   BundleID
	chooser  *Chooser // nil without a canary
}

// NewTimeline is of the inputs of a topic.
func NewTimeline(topic string) *Timeline { return &Timeline{topic: topic, told: map[int32][]told{}} }

// Add takes the next event in the topic's order; those of other inputs are none of ours.
func (t *Timeline) Add(e *ModelEvent) {
	if e.Topic != t.topic || len(e.Offsets) == 0 {
		return
	}
	one := told{champion: e.Bundle}
	if e.Canary != nil {
		one.canary, one.chooser = e.Canary.Bundle, NewChooser(*e.Canary)
	}
	for partition, from := range e.Offsets {
		one.from = from
		t.told[partition] = append(t.told[partition], one)
	}
}

// At gives the bundle that decides an input with a key; false where nothing was said of it.
func (t *Timeline) At(partition int32, offset int64, key []byte) (BundleID, bool) {
	all := t.told[partition]
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].from > offset {
			continue
		}
		if all[i].chooser != nil && all[i].chooser.Takes(key) {
			return all[i].canary, true
		}
		return all[i].champion, true
	}
	return BundleID{}, false
}
