package kafka

import (
	"slices"
	"time"
)

// Fences tells a taken INSTANCE_ID from an accident. A group answers FENCED_INSTANCE_ID to the older of two members of one name. Mostly the other is another
// process; but a join of our own that a slow broker answered late, or whose answer was lost, is another member too. Nobody stands behind that one: it
// does not fence us again and again, as a process does that is started with the same name.
type Fences struct{ last []time.Time }

const (
	fencesAllowed = 2
	fencesWithin  = time.Minute
)

// Taken takes note of a fence, and says whether there were too many lately for an accident.
func (f *Fences) Taken(now time.Time) bool {
	f.last = append(slices.DeleteFunc(f.last, func(t time.Time) bool { return now.Sub(t) > fencesWithin }), now)
	return len(f.last) > fencesAllowed
}
