// Command rebalance measures how long partitions stand still when scorers come, go and are restarted, on a real Kafka under a steady load: the longest
// time from a transaction's timestamp to its verdict at a read_committed reader, over all partitions.
//
//	go run ./test/bench/rebalance [-partitions 24] [-rate 2400] [-processes 3] [-rounds 3] [-variant SCORE_MEMBERS=1]… [-json]
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/mlmonitor/mlmonitor/test/bench/kit"
)

type settings struct {
	partitions int
	rate       float64
	processes  int
	rounds     int
	variants   []string
	asJSON     bool
}

// result of one event under one variant: the longest stall of any partition, milliseconds.
type result struct {
	Variant string    `json:"variant"`
	Event   string    `json:"event"`
	Stalls  []float64 `json:"stalls_ms"` // one a round (and process, for a rolling restart)
	Median  float64   `json:"median_ms"`
	Longest float64   `json:"longest_ms"`
}

func main() {
	var s settings
	flag.IntVar(&s.partitions, "partitions", 24, "partitions of every topic")
	flag.Float64Var(&s.rate, "rate", 2400, "transactions a second")
	flag.IntVar(&s.processes, "processes", 3, "scorers")
	flag.IntVar(&s.rounds, "rounds", 3, "rounds")
	flag.Func("variant", "environment of the scorers, such as SCORE_MEMBERS=1; may be given several times", func(v string) error {
		s.variants = append(s.variants, v)
		return nil
	})
	flag.BoolVar(&s.asJSON, "json", false, "print JSON")
	flag.Parse()
	if len(s.variants) == 0 {
		s.variants = []string{"SCORE_MEMBERS=1", "SCORE_MEMBERS=2", "SCORE_MEMBERS=4"}
	}
	kit.Main("bench-rebalance", func(ctx context.Context, r *kit.Run) error {
		all, err := measure(ctx, r, &s)
		if err != nil {
			return err
		}
		if s.asJSON {
			return json.NewEncoder(os.Stdout).Encode(all)
		}
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(w, "scorers\tevent\tlongest stall, median ms\tworst ms\t")
		for _, x := range all {
			fmt.Fprintf(w, "%s\t%s\t%.0f\t%.0f\t\n", x.Variant, x.Event, x.Median, x.Longest)
		}
		w.Flush()
		return nil
	})
}

// summarize keeps the order in which events were first met.
func summarize(order []string, stalls map[string][]float64) []result {
	var all []result
	for _, key := range order {
		variant, event, _ := strings.Cut(key, "\t")
		r := result{Variant: variant, Event: event, Stalls: stalls[key], Median: kit.Median(stalls[key])}
		for _, s := range r.Stalls {
			r.Longest = max(r.Longest, s)
		}
		all = append(all, r)
	}
	return all
}
