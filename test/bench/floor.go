package main

import (
	"context"
	"fmt"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// load is the least that a program does with the input topic: "consume" reads and commits, "pass" copies it exactly once, in transactions of up
// to 10,000 records, with the settings of a scorer. It runs until SIGTERM.
func load(mode, brokers, group string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	opts := []kgo.Opt{kgo.SeedBrokers(strings.Split(brokers, ",")...), kgo.ConsumerGroup(group), kgo.ConsumeTopics("transactions"), kgo.DisableAutoCommit(),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets(), kgo.MaxBufferedRecords(100_000), kgo.FetchMaxBytes(16 << 20)}
	if mode == "consume" {
		return consume(ctx, opts)
	}
	return pass(ctx, append(opts, kgo.TransactionalID(group), kgo.TransactionTimeout(10*time.Second), kgo.ProducerLinger(0),
		kgo.RecordPartitioner(kgo.ManualPartitioner())), "verdicts."+group)
}

func consume(ctx context.Context, opts []kgo.Opt) error {
	cl, err := kgo.NewClient(append(opts, kgo.BlockRebalanceOnPoll())...)
	if err != nil {
		return err
	}
	defer cl.CloseAllowingRebalance()
	for {
		cl.PollRecords(ctx, 10_000)
		if ctx.Err() != nil {
			return nil
		}
		if err := cl.CommitUncommittedOffsets(ctx); err != nil {
			return err
		}
		cl.AllowRebalance()
	}
}

func pass(ctx context.Context, opts []kgo.Opt, out string) error {
	txn, err := kgo.NewGroupTransactSession(opts...)
	if err != nil {
		return err
	}
	defer txn.Close()
	for {
		fetches := txn.PollRecords(ctx, 10_000)
		if ctx.Err() != nil {
			return nil
		}
		if fetches.NumRecords() == 0 {
			continue
		}
		if err := txn.Begin(); err != nil {
			return err
		}
		failed := kgo.AbortingFirstErrPromise(txn.Client())
		fetches.EachRecord(func(r *kgo.Record) {
			txn.Produce(ctx, &kgo.Record{Topic: out, Partition: r.Partition, Key: r.Key, Value: r.Value, Timestamp: r.Timestamp}, failed.Promise())
		})
		if err := txn.Client().Flush(context.Background()); err != nil {
			return err
		}
		if err := failed.Err(); err != nil {
			return fmt.Errorf("produce: %w", err)
		}
		if _, err := txn.End(context.Background(), kgo.TryCommit); err != nil {
			return err
		}
	}
}
