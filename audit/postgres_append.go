package audit

import (
	"context"

	"github.com/jackc/pgx/v5"
)

var (
	verdictColumns = []string{"topic", "partition", "offset", "published_at", "transaction_id", "decision", "probability", "margin",
		"bundle_name", "bundle_version", "bundle_digest", "event_time", "source_topic", "source_partition", "source_offset", "record_key", "payload"}
	rejectColumns = []string{"topic", "partition", "offset", "published_at", "record_key", "record_value", "reason"}
)

func (p *postgres) Append(ctx context.Context, topic string, batches []Batch) error {
	if err := checkBatches(batches); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, appendTimeout)
	defer cancel()
	err := pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		stored, err := lockOffsets(ctx, tx, topic, batches)
		if err != nil {
			return err
		}
		if err := fence(topic, batches, stored); err != nil {
			return err
		}
		return copyBatches(ctx, tx, topic, batches)
	})
	return explain("append verdicts", err)
}

// lockOffsets holds the offset rows of the batches until the transaction ends: a second writer waits here, and then finds them moved. All
// lock in the order of partitions, so none waits for another in a circle.
func lockOffsets(ctx context.Context, tx pgx.Tx, topic string, batches []Batch) (map[int32]int64, error) {
	const lock = `SELECT partition, next_offset FROM audit_offsets WHERE topic = $1 AND partition = ANY($2) ORDER BY partition FOR UPDATE`
	partitions := make([]int32, 0, len(batches))
	for _, b := range batches {
		partitions = append(partitions, b.Partition)
	}
	read := func() (map[int32]int64, error) {
		rows, err := tx.Query(ctx, lock, topic, partitions)
		if err != nil {
			return nil, err
		}
		return scanOffsets(rows)
	}
	stored, err := read()
	if err != nil || len(stored) == len(batches) {
		return stored, err
	}
	// A partition's first batch. The insert waits for another writer that does the same.
	const ensure = `INSERT INTO audit_offsets (topic, partition, next_offset) SELECT $1, p, 0 FROM unnest($2::integer[]) AS p ORDER BY p ON CONFLICT DO NOTHING`
	if _, err := tx.Exec(ctx, ensure, topic, partitions); err != nil {
		return nil, err
	}
	return read()
}

func copyBatches(ctx context.Context, tx pgx.Tx, topic string, batches []Batch) error {
	var partitions []int32
	var next []int64
	rows, rejects := 0, 0
	for _, b := range batches {
		partitions, next = append(partitions, b.Partition), append(next, b.Next)
		rows, rejects = rows+len(b.Rows), rejects+len(b.Rejects)
	}
	if rows > 0 {
		var same boxes
		values := make([]any, len(verdictColumns)) // pgx has encoded a row before it asks for the next
		boxedTopic := any(topic)
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{"verdicts"}, verdictColumns, each(batches, func(b *Batch, i int) []any {
			if i == len(b.Rows) {
				return nil
			}
			r := &b.Rows[i]
			v := &r.Verdict
			return append(values[:0], boxedTopic, b.Partition, r.Offset, r.PublishedAt, string(v.TransactionID), same.text(0, string(v.Decision)), v.Probability, v.Margin,
				same.text(1, v.Bundle.Name), same.text(2, v.Bundle.Version), same.text(3, v.Bundle.Digest), v.EventTime, same.text(4, v.Source.Topic), v.Source.Partition,
				v.Source.Offset, r.Key, r.Payload)
		})); err != nil {
			return err
		}
	}
	if rejects > 0 {
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{"audit_rejects"}, rejectColumns, each(batches, func(b *Batch, i int) []any {
			if i == len(b.Rejects) {
				return nil
			}
			r := &b.Rejects[i]
			return []any{topic, b.Partition, r.Offset, r.PublishedAt, r.Key, r.Value, r.Reason}
		})); err != nil {
			return err
		}
	}
	const move = `UPDATE audit_offsets SET next_offset = t.next FROM unnest($2::integer[], $3::bigint[]) AS t (p, next) WHERE topic = $1 AND partition = t.p`
	_, err := tx.Exec(ctx, move, topic, partitions, next)
	return err
}

// boxes keep the last text of columns that mostly repeat, as a value of an interface: made anew, each would be allocated for every row.
type boxes [5]struct {
	text string
	box  any
}

func (b *boxes) text(column int, text string) any {
	last := &b[column]
	if last.box == nil || last.text != text {
		last.text, last.box = text, text
	}
	return last.box
}

// each feeds COPY with at(batch, i) for i from 0 until that is nil, batch by batch.
func each(batches []Batch, at func(*Batch, int) []any) pgx.CopyFromSource {
	b, i := 0, 0
	return pgx.CopyFromFunc(func() ([]any, error) {
		for ; b < len(batches); b, i = b+1, 0 {
			if values := at(&batches[b], i); values != nil {
				i++
				return values, nil
			}
		}
		return nil, nil
	})
}
