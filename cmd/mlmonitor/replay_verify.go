package main

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/consumer"
	"github.com/mlmonitor/mlmonitor/replay"
)

func (f *replayFlags) runVerify(cmd *cobra.Command) error {
	if f.events != "" || f.bundle != "" || f.against != "" || f.labels != "" || f.publish != "" || f.attach || f.out != "" {
		return errors.New("--verify goes with --from, --to, --partitions, --bundle-dir and --json only: it takes the bundles that the verdicts name")
	}
	topics, r, err := f.topic(cmd)
	if err != nil {
		return err
	}
	var c consumer.Config
	if err := app.Load(&app.Config{}, &c); err != nil {
		return err
	}
	answered, err := consumer.Committed(cmd.Context(), &topics, c.Group)
	if err != nil {
		return err
	}
	// A transaction's offsets may be seen a moment before its verdicts.
	select {
	case <-cmd.Context().Done():
		return cmd.Context().Err()
	case <-time.After(markersWritten):
	}
	var seen atomic.Int64
	stop := showRate(cmd.ErrOrStderr(), &seen, uint64(r.Len()))
	found, err := replay.Verify(cmd.Context(), &topics, r, answered, app.ByDigest(f.bundleDirs, chooseEngine("")), f.workers, func(n int) { seen.Add(int64(n)) })
	stop()
	if err != nil {
		return err
	}
	if f.asJSON {
		err = printJSON(cmd, found)
	} else {
		err = printVerified(cmd.OutOrStdout(), found)
	}
	switch {
	case err != nil:
		return err
	case found.Partial:
		return errors.New("interrupted: a part was compared")
	case !found.Holds():
		return errFound
	}
	return nil
}

// markersWritten is how long the brokers take at most to end a transaction in all its partitions, once it is ended in one.
const markersWritten = time.Second

func printVerified(out io.Writer, v *replay.Verified) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "%d inputs of %s: %d verdicts equal byte for byte what their bundles give, %d dead letters are refused again\n", v.Inputs, v.Topic, v.Verdicts, v.DeadLetters)
	if v.Pending > 0 {
		fmt.Fprintf(w, "%d inputs are not answered yet\n", v.Pending)
	}
	for digest, n := range v.Bundles {
		fmt.Fprintf(w, "bundle    %s\t%d verdicts\n", digest, n)
	}
	for _, kind := range v.Kinds() {
		fmt.Fprintf(w, "DIFFERS   %s\t%d\n", kind, v.Found[kind])
	}
	const shown = 20
	for i, d := range v.Listed {
		if i == shown {
			fmt.Fprintf(w, "… %d more with --json\n", len(v.Listed)-shown)
			break
		}
		fmt.Fprintf(w, "partition %d offset %d: %s: %.300s\n", d.Partition, d.Offset, d.Kind, d.Detail)
	}
	return w.Flush()
}
