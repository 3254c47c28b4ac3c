package main

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/replay"
)

func (f *replayFlags) runPublish(cmd *cobra.Command) error {
	if f.events != "" || f.against != "" || f.labels != "" || f.attach || f.out != "" || f.sample != 1 {
		return errors.New("--publish goes with --bundle, --from, --to, --partitions and --json only")
	}
	name, err := f.name()
	if err != nil {
		return err
	}
	b, err := app.FindBundle(cmd.Context(), name, chooseEngine(""))
	if err != nil {
		return err
	}
	topics, r, err := f.topic(cmd)
	if err != nil {
		return err
	}
	var seen atomic.Int64
	stop := showRate(cmd.ErrOrStderr(), &seen, uint64(r.Len()))
	done, err := replay.Publish(cmd.Context(), &topics, r, b.Bundle, f.publish, f.workers, func(n int) { seen.Add(int64(n)) })
	stop()
	if err != nil {
		return err
	}
	if f.asJSON {
		return printJSON(cmd, done)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d verdicts in %s, %d inputs refused; %d partitions were begun before\n", done.Verdicts, done.Topic, done.Refused, done.Continued)
	return err
}
