package torture

import (
	"strings"
	"testing"
	"time"
)

// played is a result with rounds of every sort.
func played() *Result {
	r := &Result{Seed: 7, Lanes: 1, Rate: 100, Began: start, Ended: start.Add(10 * time.Second), Found: map[string]int{"lost": 2, "memory": 1},
		Findings: []Finding{{"lost", 2, start.Add(time.Second), "partition 0 offset 5 <has> no answer"}}, Checks: map[string]int{"audit": 3},
		Throughput: []Sample{{1, 100, 90}, {2, 100, 110}}}
	add := func(kind string, stall time.Duration, alone, void bool) {
		at := start.Add(time.Duration(len(r.Rounds)) * time.Second)
		r.Rounds = append(r.Rounds, Round{Number: len(r.Rounds) + 1, Kind: kind, Target: "score-1", Kill: kind == "kill-score", Began: at, Lifted: at.Add(100 * time.Millisecond),
			Recovered: at.Add(500 * time.Millisecond), Stall: stall, Alone: alone, Void: void, Evidence: "seen"})
	}
	add("kill-score", 300*time.Millisecond, true, false)
	add("kill-score", 700*time.Millisecond, true, false)
	add("kill-score", 400*time.Millisecond, true, false)
	add("kill-score", 9*time.Second, false, false)
	add("kill-score", 9*time.Second, true, true)
	add("pg-kill", time.Second, false, false)
	r.Kinds = scores(r.Rounds)
	return r
}

func TestAScoreIsOfRoundsThatHappenedAndStallsOfThoseAlone(t *testing.T) {
	want := []Score{
		{Kind: "kill-score", Injected: 4, Void: 1, Alone: 3, P50: 400 * time.Millisecond, Max: 700 * time.Millisecond, Within: 500 * time.Millisecond, Missed: 1},
		{Kind: "pg-kill", Injected: 1},
	}
	got := played().Kinds
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestEveryCheckHasAClass(t *testing.T) {
	tally := played().Tally()
	if tally["lost"] != 2 || tally["other"] != 1 || tally["doubled"] != 0 || tally["torn"] != 0 {
		t.Errorf("%v", tally)
	}
	if played().Good() {
		t.Error("a result with findings is good")
	}
}

func TestTheReportShowsWhatHappened(t *testing.T) {
	var b strings.Builder
	if err := played().HTML(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"seed 7", "&lt;has&gt; no answer", "kill-score", "<polyline", `class="goal"`, `class="void"`, "0.40 s"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	if strings.Contains(b.String(), "http://") || strings.Contains(b.String(), "https://") || strings.Contains(b.String(), "<has>") {
		t.Error("the report asks for something outside, or lets text through as markup")
	}
	for _, want := range []string{"lost 2, doubled 0, torn 0, other 1; seed 7", "FOUND 2 x lost (lost)"} {
		if s := played().String(); !strings.Contains(s, want) {
			t.Errorf("the scoreboard lacks %q:\n%s", want, s)
		}
	}
}

func TestAScheduleIsDecidedByItsSeed(t *testing.T) {
	deal := func(seed uint64) (all []dealt) {
		s, err := newSchedule(seed, nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 300 {
			d := s.next()
			d.kind = &kind{name: d.kind.name}
			all = append(all, d)
		}
		return all
	}
	a, b, c := deal(1), deal(1), deal(2)
	same, differ, seen := true, false, map[string]bool{}
	for i := range a {
		same = same && a[i].kind.name == b[i].kind.name && a[i].target == b[i].target && a[i].seed == b[i].seed
		differ = differ || a[i].kind.name != c[i].kind.name
		seen[a[i].kind.name] = true
	}
	if !same || !differ || len(seen) != len(Kinds()) {
		t.Errorf("the same: %t, another seed differs: %t, %d of %d kinds in 300", same, differ, len(seen), len(Kinds()))
	}
	if _, err := newSchedule(1, []string{"kill-everybody"}); err == nil || !strings.Contains(err.Error(), "kill-score") {
		t.Errorf("an unknown fault: %v", err)
	}
}
