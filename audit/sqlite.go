package audit

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"strings"
	"time"

	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

// sqlitePublished sorts as text as the times do.
const sqlitePublished = "2006-01-02T15:04:05.000Z"

// sqliteSettings: WAL lets readers read while the writer writes. synchronous=FULL syncs each commit: without it a power cut takes back the
// last commits, and though their offsets go back with them, a row that somebody has seen must stay. A transaction takes the write lock when it begins
// (immediate), so that the offsets that it reads stay true until it commits.
const sqliteSettings = "?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"

// sqlite is the Store of the demo, and of tests that need no server.
type sqlite struct{ db *sql.DB }

func openSQLite(path string) (*sqlite, error) {
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+sqliteSettings)
	if err != nil {
		return nil, fmt.Errorf("open the audit database %s: %w", path, err)
	}
	db.SetMaxOpenConns(maxConnections)
	return &sqlite{db}, nil
}

func (s *sqlite) Close() error { return s.db.Close() }

func (s *sqlite) Ping(ctx context.Context) error {
	var n int
	if err := s.db.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1 FROM audit_offsets LIMIT 1), (SELECT 1 FROM verdicts LIMIT 1)`).Scan(&n); err != nil {
		return explainSQLite("ask the audit database", err)
	}
	return nil
}

func explainSQLite(doing string, err error) error {
	if err != nil && strings.Contains(err.Error(), "no such table") {
		return fmt.Errorf("%w: %s: the tables are missing, run `mlmonitor migrate`: %w", ErrRefused, doing, err)
	}
	return explain(doing, err)
}

func (s *sqlite) Count(ctx context.Context) (int64, error) {
	var n int64
	err := s.db.QueryRowContext(ctx, `SELECT count(*) FROM verdicts`).Scan(&n)
	return n, explainSQLite("count verdicts", err)
}

// queryer is *sql.DB or *sql.Tx.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func (s *sqlite) Offsets(ctx context.Context, topic string) (map[int32]int64, error) {
	offsets, err := sqliteOffsets(ctx, s.db, topic)
	return offsets, explainSQLite("read the audit offsets", err)
}

func sqliteOffsets(ctx context.Context, q queryer, topic string) (map[int32]int64, error) {
	rows, err := q.QueryContext(ctx, `SELECT partition, next_offset FROM audit_offsets WHERE topic = ?`, topic)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	offsets := map[int32]int64{}
	for rows.Next() {
		var partition int32
		var next int64
		if err := rows.Scan(&partition, &next); err != nil {
			return nil, err
		}
		offsets[partition] = next
	}
	return offsets, rows.Err()
}

func (s *sqlite) Claim(ctx context.Context, topic, id string) error {
	if _, err := s.db.ExecContext(ctx, `INSERT INTO audit_topics (topic, topic_id) VALUES (?, ?) ON CONFLICT DO NOTHING`, topic, id); err != nil {
		return explainSQLite("note which topic is audited", err)
	}
	stored, err := s.Claimed(ctx, topic)
	if err != nil {
		return err
	}
	return sameTopic(topic, id, stored)
}

func (s *sqlite) Claimed(ctx context.Context, topic string) (id string, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT coalesce(max(topic_id), '') FROM audit_topics WHERE topic = ?`, topic).Scan(&id)
	return id, explainSQLite("read which topic is audited", err)
}

func (s *sqlite) Append(ctx context.Context, topic string, batches []Batch) error {
	if err := checkBatches(batches); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, appendTimeout)
	defer cancel()
	return explainSQLite("append verdicts", s.append(ctx, topic, batches))
}

func (s *sqlite) append(ctx context.Context, topic string, batches []Batch) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // nothing after a commit
	stored, err := sqliteOffsets(ctx, tx, topic)
	if err != nil {
		return err
	}
	if err := fence(topic, batches, stored); err != nil {
		return err
	}
	rows, err := tx.PrepareContext(ctx, sqliteInsert("verdicts", verdictColumns))
	if err != nil {
		return err
	}
	defer rows.Close()
	rejects, err := tx.PrepareContext(ctx, sqliteInsert("audit_rejects", rejectColumns))
	if err != nil {
		return err
	}
	defer rejects.Close()
	for _, b := range batches {
		for _, r := range b.Rows {
			v := &r.Verdict
			if _, err := rows.ExecContext(ctx, topic, b.Partition, r.Offset, r.PublishedAt.UTC().Format(sqlitePublished), string(v.TransactionID), string(v.Decision),
				v.Probability, v.Margin, v.Bundle.Name, v.Bundle.Version, v.Bundle.Digest, v.EventTime.UTC().Format(time.RFC3339Nano),
				v.Source.Topic, v.Source.Partition, v.Source.Offset, r.Key, string(r.Payload)); err != nil {
				return err
			}
		}
		for _, r := range b.Rejects {
			if _, err := rejects.ExecContext(ctx, topic, b.Partition, r.Offset, r.PublishedAt.UTC().Format(sqlitePublished), r.Key, r.Value, r.Reason); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO audit_offsets (topic, partition, next_offset) VALUES (?, ?, ?)
			ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset`, topic, b.Partition, b.Next); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func sqliteInsert(table string, columns []string) string {
	return `INSERT INTO ` + table + ` ("` + strings.Join(columns, `", "`) + `") VALUES (?` + strings.Repeat(", ?", len(columns)-1) + `)`
}
