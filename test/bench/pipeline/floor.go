package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/mlmonitor/mlmonitor/kafka"
)

// floors are the least that programs do with the input topic, each until SIGTERM, with the settings of a scorer.
var floors = map[string]func(context.Context, []kgo.Opt) error{
	"consume": consume, "atleastonce": atLeastOnce, "pass": pass, "pass2": passTwice,
}

func floor(name string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	topics := kafka.Config{Brokers: strings.Split(os.Getenv("KAFKA_BROKERS"), ","), Compression: os.Getenv("KAFKA_COMPRESSION")}
	opts, err := topics.Options()
	if err != nil {
		return err
	}
	return floors[name](ctx, append(opts,
		kgo.ConsumerGroup(os.Getenv("CONSUMER_GROUP")),
		kgo.ConsumeTopics(os.Getenv("KAFKA_TOPIC_TRANSACTIONS")), kgo.DefaultProduceTopic(os.Getenv("KAFKA_TOPIC_VERDICTS")),
		kgo.DisableAutoCommit(), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets(), kgo.MaxBufferedRecords(100_000),
		kgo.FetchMaxBytes(16<<20), kgo.ProducerLinger(0), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart())))
}

const most = 10_000 // records that are taken at once

// same is the answer of a pass-through: the input.
func same(r *kgo.Record) *kgo.Record {
	return &kgo.Record{Partition: r.Partition, Key: r.Key, Value: r.Value, Timestamp: r.Timestamp}
}

func consume(ctx context.Context, opts []kgo.Opt) error {
	return untilEnd(ctx, opts, func(*kgo.Client, kgo.Fetches) error { return nil })
}

func atLeastOnce(ctx context.Context, opts []kgo.Opt) error {
	return untilEnd(ctx, opts, func(cl *kgo.Client, fetches kgo.Fetches) error {
		var failed kgo.FirstErrPromise
		fetches.EachRecord(func(r *kgo.Record) { cl.Produce(context.Background(), same(r), failed.Promise()) })
		if err := cl.Flush(context.Background()); err != nil {
			return err
		}
		return failed.Err()
	})
}

func untilEnd(ctx context.Context, opts []kgo.Opt, do func(*kgo.Client, kgo.Fetches) error) error {
	cl, err := kgo.NewClient(append(opts, kgo.BlockRebalanceOnPoll())...)
	if err != nil {
		return err
	}
	defer cl.CloseAllowingRebalance()
	for {
		fetches := cl.PollRecords(ctx, most)
		if ctx.Err() != nil {
			return nil
		}
		if err := do(cl, fetches); err != nil {
			return err
		}
		if err := cl.CommitUncommittedOffsets(ctx); err != nil {
			return err
		}
		cl.AllowRebalance()
	}
}

func pass(ctx context.Context, opts []kgo.Opt) error { return passAs(ctx, opts, "1") }

// passTwice copies in two members of the group, as a scorer does.
func passTwice(ctx context.Context, opts []kgo.Opt) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, id := range []string{"1", "2"} {
		group.Go(func() error { return passAs(ctx, opts, id) })
	}
	return group.Wait()
}

func passAs(ctx context.Context, opts []kgo.Opt, id string) error {
	txn, err := kgo.NewGroupTransactSession(append(opts[:len(opts):len(opts)], kgo.TransactionalID(os.Getenv("CONSUMER_GROUP")+id), kgo.TransactionTimeout(10*time.Second))...)
	if err != nil {
		return err
	}
	defer txn.Close()
	for {
		fetches := txn.PollRecords(ctx, most)
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
		fetches.EachRecord(func(r *kgo.Record) { txn.Produce(ctx, same(r), failed.Promise()) })
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
