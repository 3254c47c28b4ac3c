package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/registry"
	"github.com/mlmonitor/mlmonitor/replay"
	"github.com/mlmonitor/mlmonitor/replay/metrics"
)

// writeReport writes the page, and prints the JSON or the words.
func writeReport(cmd *cobra.Command, r *replay.Report, out string, asJSON bool) error {
	if out != "" {
		var page bytes.Buffer
		if err := r.HTML(&page); err != nil {
			return err
		}
		if err := os.WriteFile(out, page.Bytes(), 0o644); err != nil {
			return err
		}
	}
	if asJSON {
		return printJSON(cmd, r)
	}
	w := cmd.OutOrStdout()
	for _, line := range r.Words {
		fmt.Fprintln(w, line)
	}
	if out != "" {
		fmt.Fprintf(w, "report    %s\n", out)
	}
	return nil
}

// writePolicy writes the suggestion as a bundle has its policy.
func writePolicy(name string, r *replay.Report) error {
	s := r.Suggest
	if s == nil {
		return errors.New("--policy: no policy can be suggested: --labels and --costs are needed, and mature transactions with labels")
	}
	text := fmt.Sprintf(`# Suggested by a replay of %s, %s to %s, under %s %s: of the policies within the capacity it would have cost least, %.0f.
# 95 %% intervals, over customers: review %.4g to %.4g, decline %.4g to %.4g. It is fitted to these transactions: on others it will cost more.
version: 1
review: %v
decline: %v
`, r.Settings.Source, r.From.Format(time.DateOnly), r.To.Format(time.DateOnly), r.Candidate.Name, r.Candidate.Version, s.Cost,
		s.ReviewInterval[0], s.ReviewInterval[1], s.DeclineInterval[0], s.DeclineInterval[1], s.Review, s.Decline)
	return os.WriteFile(name, []byte(text), 0o644)
}

// attach logs the report to the version of the candidate.
func attach(cmd *cobra.Command, r *replay.Report, candidate *app.Named) error {
	var page bytes.Buffer
	if err := r.HTML(&page); err != nil {
		return err
	}
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	b := registry.Backtest{Digest: r.Candidate.Digest, Source: r.Settings.Source, Transactions: r.Scored, From: r.From, To: r.To, Metrics: map[string]float64{"transactions": float64(r.Scored)}}
	add := func(name string, v float64) {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			b.Metrics[name] = v
		}
	}
	if c := r.Compared; c != nil {
		add("agreement", c.Agreement)
	}
	if n := len(r.Sides); n > 0 {
		s := r.Sides[n-1]
		for name, i := range map[string]metrics.Interval{"roc_auc": s.AUC, "average_precision": s.AveragePrecision, "brier": s.Brier, "frauds_not_approved": s.Caught, "honest_declined": s.Harmed,
			"precision_at_k": s.PrecisionAtK, "card_precision_at_k": s.CardPrecision, "cost": s.Cost} {
			add(name, i.Value)
			add(name+".low", i.Low)
			add(name+".high", i.High)
		}
	}
	if err := app.Attach(cmd.Context(), candidate.Version, b, map[string][]byte{"report.html": page.Bytes(), "report.json": text}, chooseEngine("")); err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "attached to version %s\n", candidate.Version)
	return nil
}
