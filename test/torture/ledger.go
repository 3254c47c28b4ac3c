package torture

import (
	"fmt"
	"hash/fnv"
	"sync"
	"time"
)

// Ledger matches every input with its answers, as a read_committed reader sees them. It is told of records in any order of topics, in the order of
// offsets within a partition, and is safe for concurrent use.
type Ledger struct {
	mu       sync.Mutex
	inputs   map[int32]*inputs
	verdicts map[int32][]stored // by partition of the verdicts topic, ascending
	totals   Totals
	stalls   []Stall
	report   func(check, detail string)
}

// Totals count records.
type Totals struct {
	Inputs, Verdicts, DeadLetters int64
}

// Stall is a time for which a partition's reader got nothing while an input waited.
type Stall struct {
	Partition int32
	End       time.Time
	Length    time.Duration
}

// worthKeeping is the length from which a stall is remembered.
const worthKeeping = 50 * time.Millisecond

// inputs of one partition.
type inputs struct {
	slots  []slot // by offset
	seen   int64  // offset behind the last input read
	next   int64  // lowest offset that is not known to be answered
	last   [2]int64
	answer time.Time // when the last answer came
}

// slot is one input and its answer.
type slot struct {
	seen           int64  // when the input was read, Unix nanoseconds; 0: not yet
	expected, got  uint64 // fingerprints of the answer
	answers        uint8
	mismatchIsTold bool
}

// stored is a verdict as it stands on its topic.
type stored struct {
	offset      int64
	fingerprint uint64
}

// NewLedger makes an empty ledger; report is called for what must not be, with the name of the check.
func NewLedger(report func(check, detail string)) *Ledger {
	return &Ledger{inputs: map[int32]*inputs{}, verdicts: map[int32][]stored{}, report: report}
}

// Answer is a verdict or a dead letter, or what one should be.
type Answer struct {
	Dead      bool
	Class     string // of a dead letter
	Key       []byte
	Timestamp int64 // milliseconds
	Value     []byte
}

// fingerprint of all that an answer must get right.
func (a *Answer) fingerprint() uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%t %s %d %d ", a.Dead, a.Class, a.Timestamp, len(a.Key))
	h.Write(a.Key)
	h.Write(a.Value)
	return h.Sum64()
}

// rowFingerprint is of what the audit table keeps of a verdict.
func rowFingerprint(key, value []byte) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d ", len(key))
	h.Write(key)
	h.Write(value)
	return h.Sum64()
}

func (l *Ledger) slot(partition int32, offset int64) (*inputs, *slot) {
	in := l.inputs[partition]
	if in == nil {
		in = &inputs{last: [2]int64{-1, -1}}
		l.inputs[partition] = in
	}
	for int64(len(in.slots)) <= offset {
		in.slots = append(in.slots, slot{})
	}
	return in, &in.slots[offset]
}

// Input takes note of an input and of the answer that it must get.
func (l *Ledger) Input(partition int32, offset int64, now time.Time, expected *Answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	in, s := l.slot(partition, offset)
	l.totals.Inputs++
	s.seen, s.expected = now.UnixNano(), expected.fingerprint()
	in.seen = offset + 1
	l.compare(partition, offset, s)
	in.advance()
}

// Answered takes note of an answer: where it stands, and which input it names.
func (l *Ledger) Answered(at, source int32, offset int64, now time.Time, got *Answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if offset < 0 || source < 0 {
		l.report("foreign", fmt.Sprintf("an answer names partition %d offset %d", source, offset))
		return
	}
	in, s := l.slot(source, offset)
	kind := 0
	l.totals.Verdicts++
	if got.Dead {
		kind = 1
		l.totals.Verdicts--
		l.totals.DeadLetters++
	}
	where := fmt.Sprintf("partition %d offset %d", source, offset)
	if at != source {
		l.report("place", fmt.Sprintf("the answer to %s stands in partition %d", where, at))
	}
	if s.answers++; s.answers > 1 {
		l.report("doubled", fmt.Sprintf("%s has %d answers", where, s.answers))
	}
	if offset <= in.last[kind] {
		l.report("order", fmt.Sprintf("%s is answered after offset %d", where, in.last[kind]))
	}
	in.last[kind] = offset
	s.got = got.fingerprint()
	l.compare(source, offset, s)
	l.stall(source, in, now)
	in.advance()
}

// Verdict takes note of where a verdict stands, for the comparison with the audit table.
func (l *Ledger) Verdict(partition int32, offset int64, key, value []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.verdicts[partition] = append(l.verdicts[partition], stored{offset, rowFingerprint(key, value)})
}

// compare looks at an input that has both its expected and its real answer.
func (l *Ledger) compare(partition int32, offset int64, s *slot) {
	if s.seen != 0 && s.answers > 0 && s.got != s.expected && !s.mismatchIsTold {
		s.mismatchIsTold = true
		l.report("payload", fmt.Sprintf("the answer to partition %d offset %d is not what a clean replay gives", partition, offset))
	}
}

// stall measures what a reader of the partition waited for this answer.
func (l *Ledger) stall(partition int32, in *inputs, now time.Time) {
	since := in.answer
	if in.next < in.seen {
		if waits := time.Unix(0, in.slots[in.next].seen); waits.After(since) {
			since = waits
		}
		if length := now.Sub(since); length >= worthKeeping {
			l.stalls = append(l.stalls, Stall{partition, now, length})
		}
	}
	in.answer = now
}

// advance passes over what is answered, and over offsets that hold no input.
func (in *inputs) advance() {
	for in.next < in.seen {
		if s := &in.slots[in.next]; s.seen != 0 && s.answers == 0 {
			return
		}
		in.next++
	}
}

// Totals so far.
func (l *Ledger) Totals() Totals {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.totals
}

// Mark is how far each partition was read at a moment.
type Mark map[int32]int64

// Mark of now.
func (l *Ledger) Mark() Mark {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := Mark{}
	for p, in := range l.inputs {
		m[p] = in.seen
	}
	return m
}

// Waiting is how many inputs below a mark have no answer.
func (l *Ledger) Waiting(m Mark) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p, end := range m {
		in := l.inputs[p]
		for o := in.next; o < end; o++ {
			if s := &in.slots[o]; s.seen != 0 && s.answers == 0 {
				n++
			}
		}
	}
	return n
}

// Close reports what is lost or foreign once everything should have been answered.
func (l *Ledger) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p, in := range l.inputs {
		for o := range in.slots {
			switch s := &in.slots[o]; {
			case s.seen != 0 && s.answers == 0:
				l.report("lost", fmt.Sprintf("partition %d offset %d has no answer", p, o))
			case s.seen == 0 && s.answers > 0:
				l.report("foreign", fmt.Sprintf("an answer names partition %d offset %d, where no input stands", p, o))
			}
		}
	}
}

// Longest is the longest stall that ended between two moments, 0 when none was worth keeping.
func (l *Ledger) Longest(from, to time.Time) (longest time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := len(l.stalls) - 1; i >= 0 && l.stalls[i].End.After(from); i-- {
		if s := l.stalls[i]; !s.End.After(to) {
			longest = max(longest, s.Length)
		}
	}
	return longest
}

// Stored are the verdicts of a partition from an offset on, and the offset behind the last.
func (l *Ledger) Stored(partition int32, from int64) []stored {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.verdicts[partition]
	i := len(all)
	for i > 0 && all[i-1].offset >= from {
		i--
	}
	return append([]stored(nil), all[i:]...)
}

// Partitions that hold verdicts.
func (l *Ledger) Partitions() []int32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []int32
	for p := range l.verdicts {
		all = append(all, p)
	}
	return all
}
