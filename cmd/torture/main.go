// Command torture hurts the product's real processes and their servers by a seeded schedule, and proves that nothing is lost or doubled.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/mlmonitor/mlmonitor/test/bench/kit"
	"github.com/mlmonitor/mlmonitor/test/torture"
)

func main() {
	var cfg torture.Config
	var only, out string
	seed := flag.Uint64("seed", 0, "decides which faults come in which order; 0: drawn, and printed")
	flag.IntVar(&cfg.Rounds, "rounds", 0, "faults to inject; 0: as many as -for has time for")
	flag.DurationVar(&cfg.For, "for", 0, "time to inject faults for; 0: until -rounds are done")
	flag.DurationVar(&cfg.Check, "check", time.Minute, "time between two checkpoints, where all is compared")
	flag.IntVar(&cfg.Lanes, "lanes", 1, "faults at a time, at most; with 1 every stall is of one fault")
	flag.Float64Var(&cfg.Rate, "rate", 400, "transactions a second")
	flag.StringVar(&only, "only", "", "only these faults, with commas: "+strings.Join(torture.Kinds(), ","))
	flag.BoolVar(&cfg.Goals, "goals", false, "a kind of fault whose stalls miss their goal by far is a finding too")
	teeth := flag.Bool("teeth", false, "plant defects into the program, one after the other, and see that each is caught; -defects chooses")
	defects := flag.String("defects", "", "with -teeth: only defects whose name matches this expression")
	flag.BoolVar(&cfg.First, "first", false, "stop at the first finding")
	flag.StringVar(&cfg.Binary, "binary", "", "program under torture; empty: built from this directory")
	flag.StringVar(&out, "out", "torture", "directory for report.html, result.json and the logs of all processes")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "torture: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	if cfg.Seed = *seed; cfg.Seed == 0 {
		cfg.Seed = uint64(time.Now().UnixNano()) % 1_000_000_000
	}
	if cfg.Rounds == 0 && cfg.For == 0 {
		cfg.Rounds = 20
	}
	if only != "" {
		cfg.Kinds = strings.Split(only, ",")
	}
	kit.Main("torture", func(ctx context.Context, run *kit.Run) error {
		os.Unsetenv("KAFKA_JVM") // three light nodes, not one fast one
		if *teeth {
			only, err := regexp.Compile(*defects)
			if err != nil {
				return fmt.Errorf("-defects: %w", err)
			}
			return bite(ctx, run, cfg, only, out)
		}
		return tortured(ctx, run, cfg, out)
	})
}

// errFound ends with 1 after the result was printed.
var errFound = errors.New("something was lost, doubled, torn or not in order, see above")

func tortured(ctx context.Context, run *kit.Run, cfg torture.Config, out string) error {
	var err error
	if cfg.Dir, err = filepath.Abs(filepath.Join(out, "logs")); err != nil {
		return err
	}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return err
	}
	if cfg.Binary == "" {
		if cfg.Binary, err = run.Build(ctx); err != nil {
			return err
		}
	}
	run.Logf("seed %d", cfg.Seed)
	result, err := torture.Run(ctx, run, cfg)
	if result == nil {
		return err
	}
	fmt.Print(result)
	if wrote := write(result, out); wrote != nil {
		return errors.Join(err, wrote)
	}
	if err == nil && !result.Good() {
		err = fmt.Errorf("%w; again: make torture SEED=%d", errFound, cfg.Seed)
	}
	return err
}

func write(result *torture.Result, out string) error {
	data, err := json.MarshalIndent(result, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "result.json"), data, 0o644); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(out, "report.html"))
	if err != nil {
		return err
	}
	return errors.Join(result.HTML(f), f.Close())
}
