package main

import (
	"context"
	"fmt"
	"io"
	"os/user"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/consumer"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/registry"
	"github.com/mlmonitor/mlmonitor/schemas"
)

// openRegistry loads what the commands about MLflow need.
func openRegistry() (*registry.MLflow, registry.Config, error) { return openAlias("") }

// openAlias is openRegistry for another alias than MLFLOW_ALIAS, where one is named.
func openAlias(alias string) (*registry.MLflow, registry.Config, error) {
	var cfg registry.Config
	if err := app.Load(&cfg); err != nil {
		return nil, cfg, err
	}
	if !cfg.UsesMLflow() {
		return nil, cfg, fmt.Errorf("MLFLOW_TRACKING_URI is empty: set it to the MLflow server")
	}
	if alias != "" {
		cfg.Alias = alias
	}
	client, err := registry.NewMLflow(cfg)
	return client, cfg, err
}

// versionJSON is a line of model list --json.
type versionJSON struct {
	Version string            `json:"version"`
	Aliases []string          `json:"aliases"`
	Created time.Time         `json:"created"`
	Status  string            `json:"status"`
	Tags    map[string]string `json:"tags"`
}

func modelList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the versions of the registered model, the newest first",
		Example: "  MLFLOW_TRACKING_URI=https://mlflow:5000 mlmonitor model list",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, _, err := openRegistry()
			if err != nil {
				return err
			}
			defer client.Close()
			versions, err := client.Versions(cmd.Context())
			if err != nil {
				return err
			}
			var all []versionJSON
			for _, v := range versions {
				line := versionJSON{Version: v.Version, Aliases: v.Aliases, Created: time.UnixMilli(v.Created).UTC(), Status: v.Status, Tags: map[string]string{}}
				for _, t := range v.Tags {
					line.Tags[t.Key] = t.Value
				}
				all = append(all, line)
			}
			if asJSON {
				return printJSON(cmd, all)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
			fmt.Fprintln(w, "VERSION\tALIASES\tCREATED\tSTATUS")
			for _, v := range all {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", v.Version, strings.Join(v.Aliases, ","), v.Created.Format(time.DateTime), v.Status)
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// historyJSON is what model history prints with --json and --shadow.
type historyJSON struct {
	Moves  []registry.Promotion `json:"moves"`
	Shadow []*app.ShadowReport  `json:"shadow"`
}

func modelHistory() *cobra.Command {
	var asJSON, shadow bool
	var part topicRange
	cmd := &cobra.Command{
		Use:   "history",
		Short: "Say which versions decided, since when, by whom and why",
		Long: `Prints the last moves of the aliases. With --shadow, also how challengers compare with what decided, on the same transactions: it pairs the verdicts in the shadow with
the others, of the last day unless --from and --to say otherwise.`,
		Example: `  MLFLOW_TRACKING_URI=https://mlflow:5000 mlmonitor model history
  KAFKA_BROKERS=kafka:9092 MLFLOW_TRACKING_URI=https://mlflow:5000 mlmonitor model history --shadow --from 6h`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, _, err := openRegistry()
			if err != nil {
				return err
			}
			defer client.Close()
			history, err := client.History(cmd.Context())
			if err != nil {
				return err
			}
			var compared []*app.ShadowReport
			if shadow {
				if compared, err = compareShadow(cmd, &part); err != nil {
					return err
				}
			}
			switch {
			case asJSON && shadow:
				return printJSON(cmd, historyJSON{history, compared})
			case asJSON:
				return printJSON(cmd, history)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
			fmt.Fprintln(w, "AT\tALIAS\tVERSION\tBEFORE\tSHARE\tBY\tWHY")
			for _, p := range history {
				share := ""
				if p.Share > 0 {
					share = fmt.Sprint(p.Share)
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.At.Format(time.DateTime), p.Alias, p.Version, p.Previous, share, p.By, p.Why)
			}
			for _, c := range compared {
				printShadow(w, c)
			}
			return w.Flush()
		},
	}
	part.flags(cmd)
	cmd.Flags().BoolVar(&shadow, "shadow", false, "compare challengers with what decided; reads Kafka")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func compareShadow(cmd *cobra.Command, part *topicRange) ([]*app.ShadowReport, error) {
	topics, _, err := deadLetterConfig(cmd)
	if err != nil {
		return nil, err
	}
	if part.from == "" {
		part.from = "24h"
	}
	shadow, err := part.open(cmd, &topics, topics.Shadow)
	if err != nil {
		return nil, err
	}
	verdicts, err := part.open(cmd, &topics, topics.Verdicts)
	if err != nil {
		return nil, err
	}
	return app.CompareShadow(cmd.Context(), &topics, shadow, verdicts)
}

func printShadow(w io.Writer, c *app.ShadowReport) {
	fmt.Fprintf(w, "\nchallenger %s %s in the shadow of %s %s: %d transactions, %.2f %% decided alike\n", c.Challenger.Name, c.Challenger.Version, c.Champion.Name, c.Champion.Version,
		c.Transactions, 100*c.Agreement)
	fmt.Fprintf(w, "probabilities differ by %.4f in the mean, %.4f at most; PSI %.4f\n", c.MeanDistance, c.MaxDistance, c.PSI)
	fmt.Fprint(w, "CHAMPION")
	for _, d := range c.Order {
		fmt.Fprintf(w, "\tWOULD %s", strings.ToUpper(string(d)))
	}
	for i, row := range c.Decided {
		fmt.Fprintf(w, "\n%s", c.Order[i])
		for _, n := range row {
			fmt.Fprintf(w, "\t%d", n)
		}
	}
	fmt.Fprintln(w)
}

// moveFlags are those of commands that move an alias.
type moveFlags struct {
	by, why, alias string
	wait           time.Duration
	asJSON         bool
}

func (f *moveFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.by, "by", "", "who decides this; default: the user of this machine")
	cmd.Flags().StringVar(&f.why, "why", "", "why, for those who look later")
	cmd.Flags().DurationVar(&f.wait, "wait", 0, "wait so long until every scorer has the bundle, and exit with 1 when one has not")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	if err := cmd.MarkFlagRequired("why"); err != nil {
		panic(err) // the flag is defined above
	}
}

// addAlias is for commands that move any alias.
func (f *moveFlags) addAlias(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.alias, "alias", "", "the alias to move; default: MLFLOW_ALIAS, whose version decides")
}

// run moves what move moves, says so, and waits where that is asked for.
func (f *moveFlags) run(cmd *cobra.Command, move func(context.Context, *registry.MLflow, string) (registry.Promotion, error)) error {
	client, cfg, err := openAlias(f.alias)
	if err != nil {
		return err
	}
	defer client.Close()
	if f.by == "" {
		u, err := user.Current()
		if err != nil {
			return fmt.Errorf("who are you? name yourself with --by: %w", err)
		}
		f.by = u.Username
	}
	if f.wait > 0 && cfg.Alias == cfg.Challenger {
		return fmt.Errorf("--wait is for the alias that decides: scorers say nothing of a challenger, mlmonitor_challenger_info does")
	}
	var topics kafka.Config
	var c consumer.Config
	if f.wait > 0 { // before anything is moved
		if err := app.Load(&app.Config{}, &topics, &c); err != nil {
			return err
		}
	}
	p, err := move(cmd.Context(), client, f.by)
	if err != nil {
		return err
	}
	said := fmt.Sprintf("%s of %s is version %s, before it was %q", p.Alias, cfg.Model, p.Version, p.Previous)
	if p.Alias == cfg.Challenger && p.Version == p.Previous {
		said = fmt.Sprintf("%s of %s, version %s, decides for %v of the keys", p.Alias, cfg.Model, p.Version, p.Share)
	}
	if f.asJSON {
		err = printJSON(cmd, p)
	} else {
		_, err = fmt.Fprintln(cmd.OutOrStdout(), said)
	}
	if err != nil || f.wait == 0 {
		return err
	}
	b, _, err := client.Fetch(cmd.Context(), p.Version, app.Prover(chooseEngine("")))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), f.wait)
	defer cancel()
	err = consumer.WaitForBundle(ctx, &topics, c.Group, func(e *schemas.ModelEvent) bool {
		switch {
		case p.Alias != cfg.Challenger:
			return e.Bundle.Digest == b.ID.Digest
		case p.Share == 0:
			return e.Canary == nil
		}
		return e.Canary != nil && e.Canary.Bundle.Digest == b.ID.Digest && e.Canary.Share == p.Share
	}, func(members []string) {
		fmt.Fprintf(cmd.ErrOrStderr(), "waiting for %s\n", strings.Join(members, ", "))
	})
	if err == nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "every scorer has %s\n", b.ID.Digest)
	}
	return err
}

func modelPromote() *cobra.Command {
	var f moveFlags
	var force bool
	cmd := &cobra.Command{
		Use:   "promote VERSION",
		Short: "Let a version decide: move the alias to it",
		Long: `Downloads the version's bundle and proves it as model check does; one that does not hold is not promoted, and one that has no backtest attached (mlmonitor replay --attach)
decides only with --force. A challenger needs none. Then moves the alias MLFLOW_ALIAS, and writes down who, when and why as
tags. Scorers see it within MODEL_POLL_INTERVAL.`,
		Example: `  MLFLOW_TRACKING_URI=https://mlflow:5000 mlmonitor model promote 7 --why "better on the last period" --wait 1m`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd, func(ctx context.Context, client *registry.MLflow, by string) (registry.Promotion, error) {
				return client.Promote(ctx, args[0], by, f.why, force, app.Prover(chooseEngine("")))
			})
		},
	}
	f.add(cmd)
	f.addAlias(cmd)
	cmd.Flags().BoolVar(&force, "force", false, "let it decide without a backtest")
	return cmd
}

func modelCanary() *cobra.Command {
	var f moveFlags
	var share float64
	cmd := &cobra.Command{
		Use:   "canary",
		Short: "Let the challenger decide for a share of the keys",
		Long: `Proves the challenger's bundle as model check does, and lets it decide for a share of the record keys, such as customers; the champion decides for the rest, and --share 0 ends it.
Which keys those are is a function of the key and the bundle's digest: the same on every scorer, and in a replay. The verdicts name the bundle that made them. Promotion
and rollback end it too.`,
		Example: `  MLFLOW_TRACKING_URI=https://mlflow:5000 mlmonitor model canary --share 0.05 --why "looks good in the shadow" --wait 1m`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd, func(ctx context.Context, client *registry.MLflow, by string) (registry.Promotion, error) {
				return client.Canary(ctx, share, by, f.why, app.Prover(chooseEngine("")))
			})
		},
	}
	f.add(cmd)
	cmd.Flags().Float64Var(&share, "share", 0, fmt.Sprintf("of the keys, 0 to %v", schemas.MaxCanaryShare))
	if err := cmd.MarkFlagRequired("share"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}

func modelRollback() *cobra.Command {
	var f moveFlags
	cmd := &cobra.Command{
		Use:     "rollback",
		Short:   "Let the version decide that did before",
		Example: `  MLFLOW_TRACKING_URI=https://mlflow:5000 mlmonitor model rollback --why "declines too much" --wait 1m`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd, func(ctx context.Context, client *registry.MLflow, by string) (registry.Promotion, error) {
				return client.Rollback(ctx, by, f.why, app.Prover(chooseEngine("")))
			})
		},
	}
	f.add(cmd)
	f.addAlias(cmd)
	return cmd
}

func modelPush() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "push BUNDLE",
		Short: "Register a bundle with MLflow as a new version",
		Long: `Proves the bundle as model check does, uploads its files through the MLflow server, and registers them as a new version of MLFLOW_MODEL, which is made where it is missing. No alias
moves: model promote does that.`,
		Example: "  MLFLOW_TRACKING_URI=https://mlflow:5000 mlmonitor model push my-bundle",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, cfg, err := openRegistry()
			if err != nil {
				return err
			}
			defer client.Close()
			v, err := client.Push(cmd.Context(), args[0], app.Prover(chooseEngine("")))
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd, v)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s version %s\n", cfg.Model, v.Version)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
