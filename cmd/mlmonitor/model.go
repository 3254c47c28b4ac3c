package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/scorer"
	"github.com/mlmonitor/mlmonitor/scorer/forest"
)

func modelCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "model",
		Short:   "Check bundles, score tables, and say which version decides",
		Example: "  mlmonitor model check sample",
		Args:    cobra.NoArgs,
		RunE:    showHelp,
	}
	cmd.AddCommand(modelCheck(), modelPredict(), modelProfile(), modelPush(), modelFetch(), modelList(), modelPromote(), modelCanary(), modelRollback(), modelHistory())
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

// modelJSON is what model check prints of a model with --json. The counts of iterations and leaves are there for engine forest only, which knows them.
type modelJSON struct {
	Format        string   `json:"format"`
	Objective     string   `json:"objective"`
	Trees         int      `json:"trees"`
	Iterations    *int     `json:"iterations,omitempty"`
	BestIteration *int     `json:"best_iteration,omitempty"`
	Leaves        *int     `json:"leaves,omitempty"`
	LargestTree   *int     `json:"largest_tree,omitempty"` // leaves
	FeatureCount  int      `json:"feature_count"`
	Features      []string `json:"features"`
	Outputs       int      `json:"outputs"`
	Engine        string   `json:"engine"`
	Kernel        string   `json:"kernel"`            // "" for engine leaves
	Kernels       []string `json:"kernels,omitempty"` // that this machine has for the model
	Exactness     string   `json:"exactness"`
}

func describe(m scorer.Model) modelJSON {
	info := modelJSON{
		Format: m.Format(), Objective: m.Objective(), Trees: m.Trees(), FeatureCount: m.Features(), Features: m.FeatureNames(), Outputs: m.Outputs(),
		Engine: string(scorer.Leaves), Exactness: scorer.Exactness(m),
	}
	if f, ok := m.(*forest.Model); ok {
		info.Engine, info.Kernel, info.Kernels = string(scorer.Forest), scorer.Kernel(m), f.Kernels()
		iterations := f.Iterations()
		leaves, largest := f.Leaves()
		info.Iterations, info.Leaves, info.LargestTree = &iterations, &leaves, &largest
		if best, ok := f.BestIteration(); ok {
			info.BestIteration = &best
		}
	}
	return info
}

// print writes the lines that a person reads.
func (info *modelJSON) print(w io.Writer) {
	fmt.Fprintf(w, "model     %s, %s\ntrees     %d", info.Format, info.Objective, info.Trees)
	if info.Iterations != nil {
		fmt.Fprintf(w, " in %d iterations, %d leaves, at most %d in a tree", *info.Iterations, *info.Leaves, *info.LargestTree)
	}
	if info.BestIteration != nil {
		fmt.Fprintf(w, "; best_iteration %d", *info.BestIteration)
	}
	fmt.Fprintf(w, "\noutputs   %d\nengine    %s", info.Outputs, info.Engine)
	if info.Kernel != "" {
		fmt.Fprintf(w, ", kernel %s of %s", info.Kernel, strings.Join(info.Kernels, ", "))
	}
	fmt.Fprintf(w, "\nscores    %s\nfeatures  %d", info.Exactness, info.FeatureCount)
	if len(info.Features) > 0 {
		fmt.Fprintf(w, ": %s", strings.Join(info.Features, ", "))
	}
	fmt.Fprintln(w)
}

// bundleJSON is what model check prints of a bundle with --json.
type bundleJSON struct {
	schemas.BundleID
	modelJSON
	Review   float64         `json:"review"`
	Decline  float64         `json:"decline"`
	Examples int             `json:"examples"`
	Profile  *profileJSON    `json:"profile"` // null where the bundle has none
	Bytes    int64           `json:"bytes"`   // of its files
	PerEvent *float64        `json:"microseconds_per_event,omitempty"`
	Training json.RawMessage `json:"training,omitempty"`
}

// profileJSON is what model check says of a bundle's profile.
type profileJSON struct {
	Transactions int64     `json:"transactions"`
	From         time.Time `json:"from"`
	To           time.Time `json:"to"`
	Tested       int       `json:"tested_features"`
}

func describeProfile(p *drift.Profile) *profileJSON {
	if p == nil {
		return nil
	}
	info := &profileJSON{Transactions: p.Observations, From: p.From, To: p.To}
	for i := range p.Features {
		if !p.Features[i].Untested {
			info.Tested++
		}
	}
	return info
}

func modelCheck() *cobra.Command {
	var engine string
	var asJSON, speed bool
	cmd := &cobra.Command{
		Use:   "check BUNDLE|MODEL",
		Short: "Verify a bundle or a model file, and say what it is and what scores it",
		Long: `Loads the bundle in a directory ("sample" is the one inside the program) as a scorer would: every digest, the contract against the model, and the
recorded examples, which must score as the training library said, bit for bit. Of a model file, loads just that. Prints trees, leaves, features and
objective, the engine, and the kernel that this machine scores it with. --speed measures how long a bundle takes to decode, score and decide one event.`,
		Example: `  mlmonitor model check bundles/sample
  mlmonitor model check model.ubj --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if info, err := os.Stat(args[0]); err == nil && info.Mode().IsRegular() {
				return checkFile(cmd, args[0], chooseEngine(engine), asJSON)
			}
			cfg := app.ScorerConfig{BundleDir: args[0], Engine: chooseEngine(engine)}
			b, err := app.OpenBundle(&cfg)
			if err != nil {
				return err
			}
			info := bundleJSON{BundleID: b.ID, modelJSON: describe(b.Model), Review: b.Policy.Review, Decline: b.Policy.Decline, Examples: len(b.Examples),
				Profile: describeProfile(b.Profile), Training: b.Training, Bytes: b.Bytes}
			if speed {
				took, err := app.Speed(b, speedTime)
				if err != nil {
					return err
				}
				micros := float64(took.Nanoseconds()) / 1e3
				info.PerEvent = &micros
			}
			info.Features = b.Contract.FeatureNames()
			if asJSON {
				return printJSON(cmd, info)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "bundle    %s %s\ndigest    %s\n", info.Name, info.Version, info.Digest)
			info.print(cmd.OutOrStdout())
			fmt.Fprintf(cmd.OutOrStdout(), "policy    review from %v, decline from %v\nexamples  %d, all score as recorded\nsize      %d bytes\n", info.Review, info.Decline, info.Examples, info.Bytes)
			if info.PerEvent != nil {
				fmt.Fprintf(cmd.OutOrStdout(), "speed     %.2f µs an event, one core of this machine\n", *info.PerEvent)
			}
			if p := info.Profile; p != nil {
				fmt.Fprintf(cmd.OutOrStdout(), "profile   %d transactions from %s to %s, %d features tested for drift\n", p.Transactions, p.From.Format(time.DateOnly), p.To.Format(time.DateOnly), p.Tested)
			} else {
				fmt.Fprintln(cmd.OutOrStdout(), "profile   none: nothing will be known of drift, mlmonitor model profile makes one")
			}
			return nil
		},
	}
	engineFlag(cmd, &engine)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&speed, "speed", false, "measure the time of one event; of bundles only")
	return cmd
}

// speedTime is how long --speed measures.
const speedTime = 300 * time.Millisecond

// checkFile loads a model file and says what it is.
func checkFile(cmd *cobra.Command, name string, engine scorer.Engine, asJSON bool) error {
	m, err := loadModel(name, engine)
	if err != nil {
		return err
	}
	info := describe(m)
	if asJSON {
		return printJSON(cmd, info)
	}
	info.print(cmd.OutOrStdout())
	return nil
}

func loadModel(name string, engine scorer.Engine) (scorer.Model, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	m, err := scorer.LoadModel(name, data, engine)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

func modelPredict() *cobra.Command {
	var engine, rows, iterations, events string
	var raw bool
	cmd := &cobra.Command{
		Use:   "predict MODEL|BUNDLE",
		Short: "Score a CSV with a model file, or events with a bundle",
		Long: `With --events, scores each line of a file of events under a bundle, and prints one line each: the verdict as a scorer would publish it, or why the event would be a dead letter.

With --rows, scores each row of a CSV and prints one line a row, outputs separated by commas, in the shortest text that reads back to the number type of the
model's library. The CSV's header names the features, matched by name where the model has names, else by position. An empty cell is missing.

All iterations (rounds of boosting) are scored, as Booster.predict does, unless --iterations names a part: START:COUNT, counted from 0, or best for
those up to the best_iteration that an XGBoost file records, as scikit-learn's wrapper predicts.`,
		Example: `  mlmonitor model predict bundles/sample/model.txt --rows rows.csv --raw
  mlmonitor model predict model.json --rows rows.csv --iterations 0:100
  mlmonitor model predict my-bundle --events events.jsonl`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (events == "") == (rows == "") {
				return errors.New("name one source: --rows of a model file, or --events of a bundle")
			}
			if events != "" {
				return predictEvents(cmd, args[0], events, chooseEngine(engine))
			}
			m, err := loadModel(args[0], chooseEngine(engine))
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("iterations") {
				if m, err = scorer.SelectIterations(m, iterations); err != nil {
					return fmt.Errorf("--iterations: %w", err)
				}
			} else if note := scorer.BeyondBest(m); note != "" {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", args[0], note)
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
	cmd.Flags().StringVar(&events, "events", "", "JSON lines of events; - is standard input")
	cmd.Flags().StringVar(&iterations, "iterations", "", "score only COUNT iterations from START (START:COUNT, or START: for the rest), or best; default all")
	cmd.Flags().BoolVar(&raw, "raw", false, "print the margin (LightGBM raw_score, XGBoost output_margin)")
	return cmd
}

func predictEvents(cmd *cobra.Command, bundle, events string, engine scorer.Engine) error {
	b, err := app.OpenBundle(&app.ScorerConfig{BundleDir: bundle, Engine: engine})
	if err != nil {
		return err
	}
	file := os.Stdin
	if events != "-" {
		if file, err = os.Open(events); err != nil {
			return err
		}
		defer file.Close()
	}
	return app.PredictEvents(b, filepath.Base(events), app.FileEvents(file), cmd.OutOrStdout())
}
