package drift

// Batch counts the transactions of one Kafka transaction, apart from the monitor until that has committed. Counting allocates nothing once it has
// seen a batch of the kind. It is not for concurrent use.
type Batch struct {
	m            *Monitor
	transactions int64
	total        []uint32 // of those that are in no pane
	panes        panes[*paneCounts]
	early        int64
	tooLate      int64

	// Of one block.
	runs   []run
	found  []uint8       // bins
	fallen []*paneCounts // out of those that are kept
}

type paneCounts struct {
	transactions int64
	bins         []uint32
}

// NewBatch is empty.
func (m *Monitor) NewBatch() *Batch {
	b := &Batch{m: m, total: make([]uint32, m.counter.bins()), found: make([]uint8, len(m.counter.binners)*blockRows)}
	b.panes = panes[*paneCounts]{keep: m.keep, make: func() *paneCounts { return &paneCounts{bins: make([]uint32, len(b.total))} }}
	return b
}

// Reset forgets what was counted: the transaction was aborted, or a new one begins.
func (b *Batch) Reset() {
	b.transactions, b.early, b.tooLate = 0, 0, 0
	clear(b.total)
	for _, p := range b.panes.all {
		b.recycle(p.counts)
	}
	b.panes.all = b.panes.all[:0]
}

func (b *Batch) recycle(c *paneCounts) {
	c.transactions = 0
	clear(c.bins)
	b.panes.free = append(b.panes.free, c)
}

// Scored is what is counted of transactions that were scored together, in the order they came. Rows holds Width values a transaction.
type Scored struct {
	Rows          []float64
	Width         int
	Probabilities []float64
	Decisions     []float64 // 0 approve, 1 review, 2 decline
	Times         []int64   // of the events, Unix milliseconds
	Timestamps    []int64   // of the records; where one is 0, its event time is taken for right
}

// blockRows is how many rows are looked at column by column before the next: they stay in a core's first cache.
const blockRows = 64

// run are rows of a block that are counted in one place.
type run struct {
	to   int // within the block, not included
	bins []uint32
}

// Add counts transactions. The profile's features are the rows' columns, then the probability and the decision.
func (b *Batch) Add(s Scored) {
	counter := &b.m.counter
	for from := 0; from < len(s.Times); from += blockRows {
		to := min(from+blockRows, len(s.Times))
		b.runs = b.runs[:0]
		for at := from; at < to; {
			at = b.place(&s, at, to, from)
		}
		counter.find(&s, from, to, b.found)
		for f := range counter.binners {
			first, found := 0, b.found[f*blockRows:(f+1)*blockRows]
			for _, r := range b.runs {
				bins := r.bins[counter.offsets[f]:counter.offsets[f+1]]
				for _, bin := range found[first:r.to] {
					bins[bin]++
				}
				first = r.to
			}
		}
		for _, f := range b.fallen {
			b.tooLate += f.transactions
			for i, n := range f.bins {
				b.total[i] += n
			}
			b.recycle(f)
		}
		b.fallen = b.fallen[:0]
	}
}

// place says where transactions from at on are counted, as many as belong together, and gives the first that does not.
func (b *Batch) place(s *Scored, at, end, block int) int {
	index, early := b.stretch(s.Times[at], s.Timestamps[at])
	to := at + 1
	for to < end {
		i, e := b.stretch(s.Times[to], s.Timestamps[to])
		if i != index || e != early {
			break
		}
		to++
	}
	n := int64(to - at)
	b.transactions += n
	bins := b.total
	if early {
		b.early += n
	} else if counts, ok := b.pane(index); ok {
		counts.transactions += n
		bins = counts.bins
	} else {
		b.tooLate += n
	}
	b.runs = append(b.runs, run{to - block, bins})
	return to
}

// pane gives the stretch of an index; ok is false where it is too old.
func (b *Batch) pane(index int64) (counts *paneCounts, ok bool) {
	counts, ok, fallen := b.panes.at(index)
	for _, f := range fallen {
		// Older than the newest of this batch by all that is kept: too late wherever the batch is added. Rows of this block may be still to count there.
		b.fallen = append(b.fallen, f.counts)
	}
	return counts, ok
}

// stretch gives that of an event time, and whether it is ahead of the record's own.
func (b *Batch) stretch(event, record int64) (index int64, early bool) {
	if record != 0 && event-record > b.m.ahead {
		return 0, true
	}
	return floorDiv(event, b.m.hop), false
}
