package drift

import (
	"slices"
	"sync"
	"time"
)

// Placement says where a transaction was counted, besides the totals.
type Placement int

// The placements. Every transaction has one.
const (
	OnTime  Placement = iota // in the newest stretch of one hop
	Late                     // in an older one that is still kept
	TooLate                  // in none: older than all that are kept
	Early                    // in none: its event time is ahead of its record's timestamp by more than Config.Ahead
	placements
)

func (p Placement) String() string { return [...]string{"on_time", "late", "too_late", "early"}[p] }

// Monitor counts the transactions of one bundle: since the start, and over event-time windows. A process has one for all its members.
type Monitor struct {
	profile *Profile
	cfg     Config
	hop     int64 // milliseconds, as ahead
	ahead   int64
	keep    int64
	counter counter

	mu     sync.Mutex
	total  *Counts
	placed [placements]int64
	panes  panes[*Counts]
	looked look // what the last Look found
}

// NewMonitor starts at 0. cfg must be valid.
func NewMonitor(p *Profile, cfg Config) *Monitor {
	m := &Monitor{profile: p, cfg: cfg, hop: cfg.Hop.Milliseconds(), ahead: cfg.Ahead.Milliseconds(), keep: cfg.panes(), counter: newCounter(p), total: p.NewCounts()}
	m.panes = panes[*Counts]{keep: m.keep, make: p.NewCounts}
	return m
}

// Profile is what is counted against.
func (m *Monitor) Profile() *Profile { return m.profile }

// panes are the newest stretches of event time, of one hop each, at most keep of them from the newest back.
type panes[T any] struct {
	keep int64
	make func() T
	all  []pane[T] // by index, descending: the newest first
	free []T
}

type pane[T any] struct {
	index  int64
	counts T
}

// at gives the pane of an index, made where it is new, and what falls out of those kept; ok is false where the index itself is too old.
func (p *panes[T]) at(index int64) (counts T, ok bool, fallen []pane[T]) {
	if len(p.all) > 0 && index <= p.all[0].index-p.keep {
		return counts, false, nil
	}
	i, found := slices.BinarySearchFunc(p.all, index, func(a pane[T], index int64) int {
		switch {
		case a.index > index:
			return -1
		case a.index < index:
			return 1
		}
		return 0
	})
	if found {
		return p.all[i].counts, true, nil
	}
	if n := len(p.free); n > 0 {
		counts, p.free = p.free[n-1], p.free[:n-1]
	} else {
		counts = p.make()
	}
	p.all = slices.Insert(p.all, i, pane[T]{index, counts})
	end := len(p.all)
	for end > 0 && p.all[end-1].index <= p.all[0].index-p.keep {
		end--
	}
	fallen = p.all[end:]
	p.all = p.all[:end]
	return counts, true, fallen
}

// Commit adds what a batch counted. It is called when the batch's transaction has committed, and only then.
func (m *Monitor) Commit(b *Batch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total.Transactions += b.transactions
	for i, n := range b.total {
		m.total.bins[i] += int64(n)
	}
	m.placed[Early] += b.early
	m.placed[TooLate] += b.tooLate
	for i := len(b.panes.all) - 1; i >= 0; i-- { // the oldest first
		p := b.panes.all[i]
		counts, ok, fallen := m.panes.at(p.index)
		for _, f := range fallen {
			f.counts.reset()
			m.panes.free = append(m.panes.free, f.counts)
		}
		where := OnTime
		switch {
		case !ok:
			where = TooLate
		case p.index < m.panes.all[0].index:
			where = Late
		}
		m.placed[where] += p.counts.transactions
		for j, n := range p.counts.bins {
			m.total.bins[j] += int64(n)
		}
		if !ok {
			continue
		}
		counts.Transactions += p.counts.transactions
		for j, n := range p.counts.bins {
			counts.bins[j] += int64(n)
		}
	}
	m.looked.stale = true
}

// Total is a copy of what was counted since the start, and where.
func (m *Monitor) Total() (*Counts, [int(placements)]int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.profile.NewCounts()
	c.Add(m.total)
	return c, m.placed
}

// Window is a stretch of event time with its counts.
type Window struct {
	From, To time.Time
	Counts   *Counts
}

// Latest is the newest whole window: it ends where the stretch begins that transactions fall into now. Its counts are 0 before one has ended.
func (m *Monitor) Latest() Window {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.latest()
}

func (m *Monitor) latest() Window {
	w := Window{Counts: m.profile.NewCounts()}
	if len(m.panes.all) == 0 {
		return w
	}
	end := m.panes.all[0].index // not included
	begin := end - int64(m.cfg.Window/m.cfg.Hop)
	w.From, w.To = time.UnixMilli(begin*m.hop).UTC(), time.UnixMilli(end*m.hop).UTC()
	for _, p := range m.panes.all[1:] {
		if p.index >= begin {
			w.Counts.Add(p.counts)
		}
	}
	return w
}

// look is a comparison and the window that it is of, kept until more is counted.
type look struct {
	stale      bool
	done       bool
	window     Window
	comparison *Comparison
}

// Look compares the newest whole window with the profile.
func (m *Monitor) Look() (Window, *Comparison) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.looked.stale || !m.looked.done {
		w := m.latest()
		m.looked = look{done: true, window: w, comparison: m.profile.Compare(w.Counts, DefaultAlpha)}
	}
	return m.looked.window, m.looked.comparison
}
