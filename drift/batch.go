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
}

type paneCounts struct {
	transactions int64
	bins         []uint32
}

// NewBatch is empty.
func (m *Monitor) NewBatch() *Batch {
	b := &Batch{m: m, total: make([]uint32, m.counter.bins())}
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

// Add counts transactions. The profile's features are the rows' columns, then the probability and the decision.
func (b *Batch) Add(s Scored) {
	for from := 0; from < len(s.Times); {
		index, early := b.place(s.Times[from], s.Timestamps[from])
		to := from + 1
		for to < len(s.Times) && to-from < blockRows {
			i, e := b.place(s.Times[to], s.Timestamps[to])
			if i != index || e != early {
				break
			}
			to++
		}
		n := int64(to - from)
		b.transactions += n
		bins := b.total
		if early {
			b.early += n
		} else {
			counts, ok, fallen := b.panes.at(index)
			for _, f := range fallen {
				// Older than the newest of this batch by all that is kept: they are too late wherever this batch is added.
				b.tooLate += f.counts.transactions
				for i, c := range f.counts.bins {
					b.total[i] += c
				}
				b.recycle(f.counts)
			}
			if ok {
				counts.transactions += n
				bins = counts.bins
			} else {
				b.tooLate += n
			}
		}
		b.m.counter.count(&s, from, to, bins)
		from = to
	}
}

// place gives the stretch of event time, and whether it is ahead of the record's own.
func (b *Batch) place(event, record int64) (index int64, early bool) {
	if record != 0 && event-record > b.m.ahead {
		return 0, true
	}
	return floorDiv(event, b.m.hop), false
}
