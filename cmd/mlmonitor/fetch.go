package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/mlmonitor/mlmonitor/app"
)

// fetched is what model fetch prints with --json.
type fetched struct {
	Version string `json:"version"`
	Digest  string `json:"digest"`
	Folder  string `json:"folder"`
}

func modelFetch() *cobra.Command {
	var alias, out string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "fetch [VERSION]",
		Short: "Download a version's bundle from MLflow into a folder",
		Long: `Downloads and proves the bundle of a version, or of the version that has the alias: MLFLOW_ALIAS, or --alias. The folder must not be there yet; it appears when the bundle
holds.`,
		Example: "  MLFLOW_TRACKING_URI=https://mlflow:5000 mlmonitor model fetch --out champion",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, cfg, err := openAlias(alias)
			if err != nil {
				return err
			}
			defer client.Close()
			if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("%s is there already: name a folder that is not", out)
			}
			done := fetched{Folder: out}
			if len(args) == 1 {
				done.Version = args[0]
			} else {
				v, err := client.ByAlias(cmd.Context(), cfg.Alias)
				if err != nil {
					return err
				}
				done.Version = v.Version
			}
			b, kept, err := client.Fetch(cmd.Context(), done.Version, app.Prover(chooseEngine("")))
			if err != nil {
				return err
			}
			done.Digest = b.ID.Digest
			half, err := os.MkdirTemp(filepath.Dir(out), ".fetch-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(half)
			if err := errors.Join(os.Chmod(half, 0o755), os.CopyFS(half, os.DirFS(kept))); err != nil {
				return err
			}
			if err := os.Rename(half, out); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd, done)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s version %s, %s, is in %s\n", cfg.Model, done.Version, done.Digest, out)
			return err
		},
	}
	cmd.Flags().StringVar(&alias, "alias", "", "default: MLFLOW_ALIAS, whose version decides")
	cmd.Flags().StringVar(&out, "out", "", "the folder")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	if err := cmd.MarkFlagRequired("out"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}
