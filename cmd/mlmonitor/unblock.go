package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/mlmonitor/mlmonitor/consumer"
)

func unblockCommand() *cobra.Command {
	var apply, asJSON bool
	var quiet time.Duration
	cmd := &cobra.Command{
		Use:   "unblock",
		Short: "Find transactions that the brokers have forgotten, and end them as they were",
		Long: `Brokers that are killed or restarted under load leave a transaction open in a partition at times, and forget it. Readers of that partition then wait for
good. This finds such transactions in the output topics and among the offsets of the group of scorers, and finds out from the topics whether each was
committed: to abort one whose other half is committed would lose its verdicts. With --apply it writes the markers that are missing, which needs the right
ClusterAction. Without, it exits with 1 when it finds any.`,
		Example: `  KAFKA_BROKERS=kafka:9092 mlmonitor topics unblock
  KAFKA_BROKERS=kafka:9092 mlmonitor topics unblock --apply`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			topics, c, err := deadLetterConfig(cmd)
			if err != nil {
				return err
			}
			if quiet < 3*c.TxnTimeout {
				return fmt.Errorf("--quiet is %v: set it to %v or more, three times CONSUMER_TXN_TIMEOUT: a transaction that lives must not be taken for one that hangs", quiet, 3*c.TxnTimeout)
			}
			found, err := consumer.Unblock(cmd.Context(), &topics, c.Group, quiet, apply)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(cmd, found)
			} else {
				for _, h := range found {
					what := "abort"
					if h.Commit {
						what = "commit"
					}
					for _, p := range h.Partitions {
						fmt.Fprintf(cmd.OutOrStdout(), "%s partition %d, from offset %d: transaction of producer %d, epoch %d: %s, %s", p.Topic, p.Partition, p.Offset, h.ProducerID, h.Epoch, what, h.Why)
						if h.Ended {
							fmt.Fprint(cmd.OutOrStdout(), ": done")
						}
						fmt.Fprintln(cmd.OutOrStdout())
					}
				}
				if len(found) == 0 {
					fmt.Fprintln(cmd.OutOrStdout(), "no transaction hangs")
				}
			}
			if err == nil && len(found) > 0 && !apply {
				return errFound
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&apply, "apply", false, "end what is found, instead of only saying what it is")
	cmd.Flags().DurationVar(&quiet, "quiet", time.Minute, "a transaction hangs when its last record is older")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
