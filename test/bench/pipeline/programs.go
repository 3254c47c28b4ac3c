package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/mlmonitor/mlmonitor/test/bench/floor"
	"github.com/mlmonitor/mlmonitor/test/bench/kit"
)

// program is what is measured.
type program struct {
	name   string
	args   []string
	env    []string
	writes bool // an answer for every transaction to the output topic
}

// Names of programs that others are compared with.
const (
	passThrough = "exactly-once pass-through"
	score       = "score"
	streams     = "Kafka Streams, exactly-once pass-through"
	python      = "Python, exactly once, LightGBM"
)

func programs(ctx context.Context, r *kit.Run, s *settings) ([]program, error) {
	binary, err := r.Build(ctx)
	if err != nil {
		return nil, err
	}
	bundle, err := filepath.Abs(s.bundle)
	if err != nil {
		return nil, err
	}
	inForce := "BUNDLE_DIR=" + bundle
	var all []program
	for _, p := range []struct{ name, floor string }{
		{"consume only", "consume"}, {"at-least-once pass-through", "atleastonce"}, {passThrough, "pass"}, {passThrough + ", 2 members", "pass2"},
	} {
		args, err := floor.Command(p.floor)
		if err != nil {
			return nil, err
		}
		all = append(all, program{name: p.name, args: args, writes: p.floor != "consume"})
	}
	all = append(all,
		program{name: score, args: []string{binary, "score"}, env: []string{inForce}, writes: true},
		program{name: "score, SCORER_ENGINE=leaves", args: []string{binary, "score"}, env: []string{inForce, "SCORER_ENGINE=leaves"}, writes: true})
	for _, variant := range s.variants {
		all = append(all, program{name: "score, " + variant, args: []string{binary, "score"}, env: append([]string{inForce}, strings.Fields(variant)...), writes: true})
	}
	if s.peers != "" {
		all = append(all,
			program{name: streams, args: []string{filepath.Join(s.peers, "streams")}, writes: true},
			program{name: python, args: []string{filepath.Join(s.peers, "python")}, env: []string{inForce}, writes: true})
	}
	if s.only == "" {
		return all, nil
	}
	var chosen []program
	for _, p := range all {
		for word := range strings.SplitSeq(s.only, ",") {
			if p.name == passThrough || p.name == word || (word != score && strings.Contains(p.name, word)) {
				chosen = append(chosen, p)
				break
			}
		}
	}
	return chosen, nil
}

// figures of one program: medians over the rounds.
type figures struct {
	Name    string  `json:"name"`
	Records float64 `json:"records_per_second"`
	CPU     float64 `json:"client_cpu_seconds_per_million"`
	Broker  float64 `json:"broker_cpu_seconds_per_million"`
	MiB     float64 `json:"client_peak_mib"`
	ToPass  float64 `json:"ratio_to_passthrough"`

	ratios map[string]float64 // to each program by name
}

func print(all []figures) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "program\trecords/s\tclient CPU s per million\tbroker\tpeak MiB\tto pass-through\t")
	for _, f := range all {
		fmt.Fprintf(w, "%s\t%.0f\t%.2f\t%.2f\t%.0f\t%.2f\t\n", f.Name, f.Records, f.CPU, f.Broker, f.MiB, f.ToPass)
	}
	w.Flush()
	for _, f := range all {
		if f.Name != score {
			continue
		}
		fmt.Printf("score_vs_passthrough=%.2f", f.ToPass)
		for _, peer := range []struct{ key, name string }{{"score_vs_streams", streams}, {"score_vs_python", python}} {
			if ratio, ok := f.ratios[peer.name]; ok {
				fmt.Printf(" %s=%.2f", peer.key, ratio)
			}
		}
		fmt.Println()
	}
}
