package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/scorer"
)

func modelCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "model",
		Short:   "Check bundles and score tables with model files",
		Example: "  mlmonitor model check sample",
		Args:    cobra.NoArgs,
		RunE:    showHelp,
	}
	cmd.AddCommand(modelCheck(), modelPredict())
	return cmd
}

// engineFlag lets a command choose the engine; its default is SCORER_ENGINE.
func engineFlag(cmd *cobra.Command, engine *string) {
	cmd.Flags().StringVar(engine, "engine", "", "auto, forest or leaves; default SCORER_ENGINE, or auto")
}

func chooseEngine(flag string) scorer.Engine {
	if flag == "" {
		flag = os.Getenv("SCORER_ENGINE")
	}
	return scorer.Engine(flag)
}

// bundleJSON is what model check prints with --json.
type bundleJSON struct {
	schemas.BundleID
	Format    string          `json:"format"`
	Objective string          `json:"objective"`
	Trees     int             `json:"trees"`
	Exactness string          `json:"exactness"`
	Features  []string        `json:"features"`
	Review    float64         `json:"review"`
	Decline   float64         `json:"decline"`
	Examples  int             `json:"examples"`
	Training  json.RawMessage `json:"training,omitempty"`
}

func modelCheck() *cobra.Command {
	var engine string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check DIR",
		Short: "Verify a bundle: digests, contract, and its recorded examples",
		Long: `Loads the bundle in DIR ("sample" is the one inside the program) as a scorer would: every digest, the contract against the model, and the recorded
examples, which must score as the training library said, bit for bit.`,
		Example: "  mlmonitor model check bundles/sample",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg := app.ScorerConfig{BundleDir: args[0], Engine: chooseEngine(engine)}
			b, err := app.OpenBundle(&cfg)
			if err != nil {
				return err
			}
			info := bundleJSON{b.ID, b.Model.Format(), b.Model.Objective(), b.Model.Trees(), scorer.Exactness(b.Model), b.Contract.FeatureNames(), b.Policy.Review, b.Policy.Decline, len(b.Examples), b.Training}
			if asJSON {
				return printJSON(cmd, info)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "bundle    %s %s\ndigest    %s\nmodel     %s, %s, %d trees\nscores    %s\nfeatures  %d: %s\npolicy    review from %v, decline from %v\nexamples  %d, all score as recorded\n",
				info.Name, info.Version, info.Digest, info.Format, info.Objective, info.Trees, info.Exactness, len(info.Features), strings.Join(info.Features, ", "), info.Review, info.Decline, info.Examples)
			return nil
		},
	}
	engineFlag(cmd, &engine)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func modelPredict() *cobra.Command {
	var engine, rows string
	var raw bool
	cmd := &cobra.Command{
		Use:   "predict MODEL",
		Short: "Score a CSV with a model file",
		Long: `Scores each row of a CSV and prints one line a row, outputs separated by commas, in the shortest text that reads back to the number type of the
model's library. The CSV's header names the features, matched by name where the model has names, else by position. An empty cell is missing.`,
		Example: "  mlmonitor model predict bundles/sample/model.txt --rows rows.csv --raw",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			m, err := scorer.LoadModel(args[0], data, chooseEngine(engine))
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			table := os.Stdin
			if rows != "-" {
				if table, err = os.Open(rows); err != nil {
					return err
				}
				defer table.Close()
			}
			unused, err := scorer.PredictTable(m, table, raw, cmd.OutOrStdout())
			if err != nil {
				return fmt.Errorf("%s: %w", rows, err)
			}
			if len(unused) > 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "columns that the model does not use: %s\n", strings.Join(unused, ", "))
			}
			return nil
		},
	}
	engineFlag(cmd, &engine)
	cmd.Flags().StringVar(&rows, "rows", "", "CSV of the rows; - is standard input")
	cmd.Flags().BoolVar(&raw, "raw", false, "print the margin (LightGBM raw_score, XGBoost output_margin)")
	if err := cmd.MarkFlagRequired("rows"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}
