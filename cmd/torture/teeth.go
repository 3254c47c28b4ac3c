package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mlmonitor/mlmonitor/test/bench/kit"
	"github.com/mlmonitor/mlmonitor/test/torture"
)

// bitten is a defect, and what caught it.
type bitten struct {
	Defect string `json:"defect"`
	Caught bool   `json:"caught"`
	Check  string `json:"check"`
	Round  int    `json:"round"` // 0: before any fault
	Fault  string `json:"fault,omitempty"`
	Detail string `json:"detail"`
}

// errToothless ends a run in which a defect was not caught.
var errToothless = errors.New("a planted defect was not caught, or not by the check that is there for it")

// bite plants the defects of a name, one after the other.
func bite(ctx context.Context, run *kit.Run, cfg torture.Config, only *regexp.Regexp, out string) error {
	source, err := os.Getwd()
	if err != nil {
		return err
	}
	var all []bitten
	for i, d := range torture.Defects() {
		if !only.MatchString(d.Name) {
			continue
		}
		b := bitten{Defect: d.Name}
		err := run.Within(func(run *kit.Run) error {
			return plant(ctx, run, cfg, d, source, filepath.Join(out, fmt.Sprintf("defect-%02d", i+1)), &b)
		})
		if ctx.Err() != nil {
			return err
		}
		if err != nil && !b.Caught {
			b.Detail = err.Error()
		}
		all = append(all, b)
		fmt.Printf("%-9s %s\n          round %d %s, check %s: %.200s\n", map[bool]string{true: "caught", false: "NOT"}[b.Caught], b.Defect, b.Round, b.Fault, b.Check, b.Detail)
	}
	data, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "teeth.json"), data, 0o644); err != nil {
		return err
	}
	missed := slices.DeleteFunc(slices.Clone(all), func(b bitten) bool { return b.Caught })
	fmt.Printf("%d of %d defects were caught\n", len(all)-len(missed), len(all))
	if len(missed) > 0 {
		return errToothless
	}
	return nil
}

// plant tortures a program with one defect until a check finds something.
func plant(ctx context.Context, run *kit.Run, cfg torture.Config, d torture.Defect, source, dir string, b *bitten) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	made, err := run.TempDir()
	if err != nil {
		return err
	}
	if cfg.Binary, err = d.Plant(ctx, source, made); err != nil {
		return err
	}
	cfg.Dir, cfg.First, cfg.Check, cfg.Lanes, cfg.Goals = dir, true, 15*time.Second, 1, strings.Contains(d.Check, "availability")
	cfg.Wait = 30 * time.Second
	cfg.For, cfg.Rounds, cfg.Kinds = 4*time.Minute, 0, d.Kinds
	if len(d.Kinds) == 0 {
		cfg.Rounds, cfg.Kinds = 1, []string{"pause-score"}
	}
	result, err := torture.Run(ctx, run, cfg)
	if result == nil {
		return err
	}
	for _, f := range result.Findings {
		if slices.Contains(strings.Split(d.Check, "|"), f.Check) {
			b.Caught, b.Check, b.Round, b.Detail = true, f.Check, f.Round, f.Detail
			for _, r := range result.Rounds {
				if r.Number == f.Round {
					b.Fault = "(" + r.Kind + ")"
				}
			}
			return nil
		}
	}
	if len(result.Findings) > 0 {
		b.Check, b.Round, b.Detail = result.Findings[0].Check, result.Findings[0].Round, result.Findings[0].Detail
	}
	return err
}
