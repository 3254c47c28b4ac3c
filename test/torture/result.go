package torture

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Result is all that a torture found.
type Result struct {
	Seed       uint64         `json:"seed"`
	Lanes      int            `json:"lanes"`
	Rate       float64        `json:"rate"`
	CPUs       int            `json:"cpus"`
	Began      time.Time      `json:"began"`
	Ended      time.Time      `json:"ended"`
	Totals     Totals         `json:"totals"`
	Kills      int            `json:"kills"`   // processes ended by SIGKILL
	Hanging    int            `json:"hanging"` // partitions in which Kafka had forgotten a transaction, which `mlmonitor topics unblock` ended
	Kinds      []Score        `json:"kinds"`
	Checks     map[string]int `json:"checks"`   // how often each was made
	Found      map[string]int `json:"found"`    // findings by check
	Findings   []Finding      `json:"findings"` // the first of them, whole
	Rounds     []Round        `json:"rounds"`
	Throughput []Sample       `json:"throughput"`
}

// Score is what the faults of one kind came to.
type Score struct {
	Kind     string        `json:"kind"`
	Injected int           `json:"injected"`
	Void     int           `json:"void"`
	Alone    int           `json:"alone"` // rounds that no other fault overlapped: the stalls are of these
	P50      time.Duration `json:"stall_p50_ns"`
	Max      time.Duration `json:"stall_max_ns"`
	Within   time.Duration `json:"goal_ns,omitempty"` // 0: no goal is set
	Missed   int           `json:"missed"`            // rounds alone whose stall was longer
}

// goals are the longest stalls that docs/reliability.md promises.
var goals = map[string]time.Duration{
	"kill-score": 500 * time.Millisecond, "lose-score": memberSession + time.Second, "kill-node": brokerSession + 4*time.Second,
	"kill-txn-coordinator": brokerSession + 4*time.Second, "kill-group-coordinator": brokerSession + 4*time.Second,
}

// checkGoals finds the kinds whose stalls miss their goal by far: the median is over three times the goal, or a tenth of them over four times. A busy machine alone does not bring
// them there.
func (w *World) checkGoals(rounds []Round) {
	for _, s := range scores(rounds) {
		if s.Within == 0 || s.Alone < 3 {
			continue
		}
		long := 0
		for _, r := range rounds {
			if r.Kind == s.Kind && r.Alone && !r.Void && r.Stall > 4*s.Within {
				long++
			}
		}
		if s.P50 > 3*s.Within || s.Alone >= 10 && 10*long >= s.Alone {
			w.find("availability", fmt.Sprintf("%s: of %d stalls half are %v and more, and %d longer than %v; the goal is %v", s.Kind, s.Alone, s.P50.Round(time.Millisecond), long,
				4*s.Within, s.Within))
		}
	}
}

// finish adds up.
func (r *Result) finish(w *World, c *checkpoint, t *throughput) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r.Ended, r.CPUs = time.Now(), runtime.NumCPU()
	r.Totals, r.Checks, r.Found, r.Findings, r.Throughput = w.ledger.Totals(), maps.Clone(c.passed), maps.Clone(w.counts), w.findings, t.all()
	slices.SortFunc(r.Rounds, func(a, b Round) int { return a.Number - b.Number })
	r.Kinds, r.Hanging = scores(r.Rounds), int(w.hanging.Load())
	for _, s := range r.Rounds {
		if s.Kill && !s.Void {
			r.Kills++
		}
	}
}

// scores by kind, in the order of kinds.
func scores(rounds []Round) []Score {
	var all []Score
	for _, name := range Kinds() {
		s := Score{Kind: name, Within: goals[name]}
		var stalls []time.Duration
		for _, r := range rounds {
			switch {
			case r.Kind != name:
			case r.Void:
				s.Void++
			default:
				s.Injected++
				if r.Alone {
					stalls = append(stalls, r.Stall)
				}
			}
		}
		if s.Injected+s.Void == 0 {
			continue
		}
		slices.Sort(stalls)
		if s.Alone = len(stalls); s.Alone > 0 {
			s.P50, s.Max = stalls[len(stalls)/2], stalls[len(stalls)-1]
		}
		if s.Within > 0 {
			for _, d := range stalls {
				if d > s.Within {
					s.Missed++
				}
			}
		}
		all = append(all, s)
	}
	return all
}

// class of findings.
type class struct {
	name   string
	checks []string
}

// classes of findings that the scoreboard adds up.
var classes = []class{
	{"lost", []string{"lost", "audit-lost", "settled", "recovered", "audit-settled", "topic"}},
	{"doubled", []string{"doubled", "audit-doubled"}},
	{"torn", []string{"payload", "order", "place", "foreign", "audit-bytes", "audit-phantom", "audit-rows", "backstop", "offsets", "models"}},
	{"other", []string{"availability", "counters", "memory", "descriptors", "stop", "exit", "embedded", "witness"}},
}

// Class of a finding's check: lost, doubled, torn or other.
func Class(check string) string {
	for _, c := range classes {
		if slices.Contains(c.checks, check) {
			return c.name
		}
	}
	return "other"
}

// Tally is how many findings each class has.
func (r *Result) Tally() map[string]int {
	tally := map[string]int{}
	for _, c := range classes {
		tally[c.name] = 0
	}
	for check, n := range r.Found {
		tally[Class(check)] += n
	}
	return tally
}

// Good says whether nothing was found.
func (r *Result) Good() bool { return len(r.Found) == 0 }

// line says in one how it stands.
func (r *Result) line(w *World) string {
	t := w.ledger.Totals()
	return fmt.Sprintf("checked: %d rounds, %d inputs, %d verdicts, %d dead letters, %d findings", len(r.Rounds), t.Inputs, t.Verdicts, t.DeadLetters, w.found())
}

// String is the scoreboard.
func (r *Result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-24s %9s %6s %6s %9s %9s %8s %7s\n", "fault", "injected", "void", "alone", "stall p50", "max", "goal", "missed")
	round := func(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
	for _, s := range r.Kinds {
		p50, most, goal, missed := "-", "-", "-", "-"
		if s.Alone > 0 {
			p50, most = round(s.P50), round(s.Max)
		}
		if s.Within > 0 {
			goal = round(s.Within)
		}
		if s.Within > 0 && s.Alone > 0 {
			missed = fmt.Sprint(s.Missed)
		}
		fmt.Fprintf(&b, "%-24s %9d %6d %6d %9s %9s %8s %7s\n", s.Kind, s.Injected, s.Void, s.Alone, p50, most, goal, missed)
	}
	fmt.Fprintf(&b, "\n%d inputs, %d verdicts, %d dead letters, %d processes ended by SIGKILL, %v on %d CPUs, %d faults at a time at most\n", r.Totals.Inputs, r.Totals.Verdicts,
		r.Totals.DeadLetters, r.Kills, r.Ended.Sub(r.Began).Round(time.Second), r.CPUs, r.Lanes)
	for _, name := range slices.Sorted(maps.Keys(r.Checks)) {
		fmt.Fprintf(&b, "%6d x %s\n", r.Checks[name], name)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Found)) {
		fmt.Fprintf(&b, "FOUND %d x %s (%s)\n", r.Found[name], name, Class(name))
	}
	if r.Hanging > 0 {
		fmt.Fprintf(&b, "%6d x Kafka had forgotten a transaction in a partition, and `mlmonitor topics unblock` ended it\n", r.Hanging)
	}
	t := r.Tally()
	fmt.Fprintf(&b, "lost %d, doubled %d, torn %d, other %d; seed %d\n", t["lost"], t["doubled"], t["torn"], t["other"], r.Seed)
	return b.String()
}
