package torture

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
)

// audit waits until the writers have passed every verdict, then compares the rows with the topic: each verdict one row with its bytes, and no other row.
func (c *checkpoint) audit(ctx context.Context) error {
	partitions := c.ledger.Partitions()
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if err := until(ctx, c.wait, func() error { return c.caughtUp(ctx, conn, partitions) }); err != nil {
		if ctx.Err() != nil {
			return err
		}
		c.find("audit-settled", err.Error())
	}
	for _, p := range partitions {
		if err := c.compareRows(ctx, conn, p); err != nil {
			return err
		}
	}
	if err := c.backstop(); err != nil {
		return err
	}
	var rows, rejects int64
	if err := conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM verdicts), (SELECT count(*) FROM audit_rejects)`).Scan(&rows, &rejects); err != nil {
		return err
	}
	if verdicts := c.ledger.Totals().Verdicts; rows != verdicts || rejects != 0 {
		c.find("audit-rows", fmt.Sprintf("the table has %d rows and %d rejects, the topic %d verdicts", rows, rejects, verdicts))
	}
	return nil
}

// backstop looks whether the database had to refuse a row that stood there: the writers' own fence should have.
func (c *checkpoint) backstop() error {
	log, err := os.ReadFile(c.postgres.Log())
	if err != nil {
		return err
	}
	refused := bytes.Count(log, []byte("duplicate key value violates unique constraint"))
	if refused > c.refused {
		c.find("backstop", fmt.Sprintf("the primary key refused %d rows that a second writer brought", refused-c.refused))
	}
	c.refused = refused
	return nil
}

// connect looks behind the scenes, as the superuser: the roles' own connections may be the ones that are hurt.
func (w *World) connect(ctx context.Context) (*pgx.Conn, error) {
	var conn *pgx.Conn
	err := until(ctx, time.Minute, func() (err error) {
		conn, err = pgx.Connect(ctx, w.postgres.AdminURL)
		return err
	})
	return conn, err
}

func (c *checkpoint) caughtUp(ctx context.Context, conn *pgx.Conn, partitions []int32) error {
	for _, p := range partitions {
		all := c.ledger.Stored(p, c.audited[p])
		if len(all) == 0 {
			continue
		}
		var next int64
		err := conn.QueryRow(ctx, "SELECT coalesce(max(next_offset), 0) FROM audit_offsets WHERE topic = $1 AND partition = $2", c.topics.Verdicts, p).Scan(&next)
		if err != nil {
			return err
		}
		if last := all[len(all)-1].offset; next <= last {
			return fmt.Errorf("audit stands at %d of partition %d, whose last verdict is %d", next, p, last)
		}
	}
	return nil
}

// compareRows compares the rows of a partition that came since the last checkpoint.
func (c *checkpoint) compareRows(ctx context.Context, conn *pgx.Conn, partition int32) error {
	expected := c.ledger.Stored(partition, c.audited[partition])
	rows, err := conn.Query(ctx, `SELECT "offset", record_key, payload::text FROM verdicts WHERE topic = $1 AND partition = $2 AND "offset" >= $3 ORDER BY "offset"`,
		c.topics.Verdicts, partition, c.audited[partition])
	if err != nil {
		return err
	}
	var offset int64
	var key []byte
	var payload string
	last, i := int64(-1), 0
	if _, err := pgx.ForEachRow(rows, []any{&offset, &key, &payload}, func() error {
		where := fmt.Sprintf("verdicts partition %d offset %d", partition, offset)
		if offset == last {
			c.find("audit-doubled", where+" has more than one row")
			return nil
		}
		last = offset
		for i < len(expected) && expected[i].offset < offset {
			c.find("audit-lost", fmt.Sprintf("verdicts partition %d offset %d has no row", partition, expected[i].offset))
			i++
		}
		if i == len(expected) || expected[i].offset != offset {
			c.find("audit-phantom", where+" has a row, and no read_committed reader finds a verdict there")
			return nil
		}
		if expected[i].fingerprint != rowFingerprint(key, []byte(payload)) {
			c.find("audit-bytes", where+" has a row with other bytes")
		}
		i++
		return nil
	}); err != nil {
		return err
	}
	for ; i < len(expected); i++ {
		c.find("audit-lost", fmt.Sprintf("verdicts partition %d offset %d has no row", partition, expected[i].offset))
	}
	if n := len(expected); n > 0 {
		c.audited[partition] = expected[n-1].offset + 1
	}
	return nil
}
