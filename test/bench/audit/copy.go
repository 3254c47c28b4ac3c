package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/schemas"
)

// columns of a verdict's row, as audit writes them.
var columns = []string{"topic", "partition", "offset", "published_at", "transaction_id", "decision", "probability", "margin", "bundle_name", "bundle_version",
	"bundle_digest", "event_time", "source_topic", "source_partition", "source_offset", "record_key", "payload"}

// atOnce is how many rows a transaction copies: as many as audit's do at most.
const atOnce = 5000

// readRows gives the rows that audit makes of the verdicts topic, by partition and offset.
func readRows(ctx context.Context, topics *kafka.Config, n int64) ([][]any, error) {
	whole, err := kafka.Whole(ctx, topics, topics.Verdicts)
	if err != nil {
		return nil, err
	}
	var rows [][]any
	err = kafka.Read(ctx, topics, topics.Verdicts, whole, func(r *kgo.Record) error {
		v, err := schemas.ParseVerdict(r.Value)
		if err != nil {
			return err
		}
		rows = append(rows, []any{r.Topic, r.Partition, r.Offset, r.Timestamp, string(v.TransactionID), string(v.Decision), v.Probability, v.Margin, v.Bundle.Name, v.Bundle.Version,
			v.Bundle.Digest, v.EventTime, v.Source.Topic, v.Source.Partition, v.Source.Offset, r.Key, r.Value})
		return nil
	})
	if err == nil && int64(len(rows)) != n {
		err = fmt.Errorf("%d verdicts stand on the topic, not %d", len(rows), n)
	}
	return rows, err
}

// sumOfEnds adds up the offsets behind the last row of each partition.
func sumOfEnds(rows [][]any) (sum int64) {
	ends := map[int32]int64{}
	for _, row := range rows {
		partition, offset := row[1].(int32), row[2].(int64)
		ends[partition] = max(ends[partition], offset+1)
	}
	for _, end := range ends {
		sum += end
	}
	return sum
}

// copy is the least that writing the rows costs: COPY by one connection into the same table of an empty database, with nothing else to do. Rows per second.
func (b *bench) copy(ctx context.Context, rows [][]any) (float64, error) {
	if err := b.empty(ctx); err != nil {
		return 0, err
	}
	conn, err := pgx.Connect(ctx, b.postgres.WriterURL)
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
	begin := time.Now()
	for from := 0; from < len(rows); from += atOnce {
		some := rows[from:min(from+atOnce, len(rows))]
		if err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			_, err := tx.CopyFrom(ctx, pgx.Identifier{"verdicts"}, columns, pgx.CopyFromRows(some))
			return err
		}); err != nil {
			return 0, err
		}
	}
	rate := float64(len(rows)) / time.Since(begin).Seconds()
	return rate, b.verify(ctx)
}

// verify wants every transaction once.
func (b *bench) verify(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, b.postgres.ReaderURL)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var rows, sources int64
	if err := conn.QueryRow(ctx, `SELECT count(*), count(DISTINCT (source_partition, source_offset)) FROM verdicts`).Scan(&rows, &sources); err != nil {
		return err
	}
	if rows != b.n || sources != b.n {
		return fmt.Errorf("%d rows of %d transactions, want %d of each", rows, sources, b.n)
	}
	return nil
}
