// Package floor has the least that a program can do with the input topic, with the settings of a scorer: what scoring is compared with.
package floor

import (
	"cmp"
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

var programs = map[string]func(context.Context, []kgo.Opt) error{
	"consume": consume, "atleastonce": atLeastOnce, "pass": pass, "pass2": passTwice,
}

// Main runs the program that the command line names, if it names one: a benchmark starts itself anew for it, so that the program's processor time is
// its own. The environment is that of a scorer. It ends with SIGTERM.
func Main() {
	if len(os.Args) != 3 || os.Args[1] != "floor" {
		return
	}
	if err := run(os.Args[2]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[2], err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Command is the command line of a program: "consume" reads and commits; "atleastonce" copies, then commits; "pass" copies in transactions, exactly
// once; "pass2" does so in two members of the group.
func Command(name string) ([]string, error) {
	self, err := os.Executable()
	return []string{self, "floor", name}, err
}

func run(name string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	topics := kafka.Config{Brokers: strings.Split(os.Getenv("KAFKA_BROKERS"), ","), Compression: os.Getenv("KAFKA_COMPRESSION")}
	opts, err := topics.Options()
	if err != nil {
		return err
	}
	return programs[name](ctx, append(opts,
		kgo.ConsumerGroup(os.Getenv("CONSUMER_GROUP")),
		kgo.ConsumeTopics(os.Getenv("KAFKA_TOPIC_TRANSACTIONS")), kgo.DefaultProduceTopic(os.Getenv("KAFKA_TOPIC_VERDICTS")),
		kgo.DisableAutoCommit(), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets(), kgo.MaxBufferedRecords(100_000),
		kgo.FetchMaxBytes(4<<20), kgo.ProducerLinger(0), kgo.RecordPartitioner(kgo.ManualPartitioner()),
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
	interval, err := time.ParseDuration(cmp.Or(os.Getenv("CONSUMER_TXN_INTERVAL"), "0s"))
	if err != nil {
		return err
	}
	for {
		fetches := gather(ctx, txn, interval)
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

// gather takes what is there, and what comes within the interval after that.
func gather(ctx context.Context, txn *kgo.GroupTransactSession, interval time.Duration) kgo.Fetches {
	fetches := txn.PollRecords(ctx, most)
	ctx, cancel := context.WithTimeout(ctx, interval)
	defer cancel()
	for n := fetches.NumRecords(); n > 0 && n < most && ctx.Err() == nil; n = fetches.NumRecords() {
		fetches = append(fetches, txn.PollRecords(ctx, most-n)...)
	}
	return fetches
}
