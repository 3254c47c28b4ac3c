package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mlmonitor/mlmonitor/kafka"
)

// Reader finds verdicts; it cannot write. Postgres and SQLite are its implementations, and pass one suite.
type Reader interface {
	// Find gives the verdicts of a transaction id, the latest published first, at most limit.
	Find(ctx context.Context, transactionID string, limit int) ([]Found, error)
	// Search gives the verdicts that match, the latest published first, at most q.Limit.
	Search(ctx context.Context, q Query) ([]Found, error)
	// Ping asks whether verdicts can be read now.
	Ping(ctx context.Context) error
	// Close ends the connections.
	Close() error
}

// Found is a row of the audit.
type Found struct {
	Payload     []byte // the verdict, byte for byte as it was published
	Topic       string
	Partition   int32
	Offset      int64
	PublishedAt time.Time
}

// readTimeout bounds a look.
const readTimeout = 5 * time.Second

// readerSettings: whoever connects, nothing is written.
var readerSettings = map[string]string{"application_name": "mlmonitor-api", "statement_timeout": "5s", "default_transaction_read_only": "on"}

// OpenReader connects when it is asked first. variable is the setting's name, for its errors; now, where it is not nil, gives the URL anew for each connection.
func OpenReader(ctx context.Context, variable string, secret kafka.Secret, now func() (kafka.Secret, error)) (Reader, error) {
	db, err := parseDatabaseURL(secret)
	if err != nil {
		return nil, errors.New(strings.ReplaceAll(err.Error(), "DATABASE_URL", variable))
	}
	if db.sqlite != "" {
		handle, err := sql.Open("sqlite", "file:"+(&url.URL{Path: db.sqlite}).EscapedPath()+"?mode=ro&_pragma=busy_timeout(5000)&_pragma=query_only(1)")
		if err != nil {
			return nil, fmt.Errorf("%s: open the audit database: %w", variable, err)
		}
		handle.SetMaxOpenConns(maxConnections)
		return &sqliteReader{handle}, nil
	}
	cfg := db.postgres
	follow(cfg, now)
	for name, value := range readerSettings {
		cfg.ConnConfig.RuntimeParams[name] = value
	}
	if cfg.ConnConfig.ConnectTimeout == 0 || cfg.ConnConfig.ConnectTimeout > time.Minute {
		cfg.ConnConfig.ConnectTimeout = connectTimeout
	}
	cfg.MinConns, cfg.MinIdleConns, cfg.MaxConns = 0, 0, 2*maxConnections
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("%s: open the audit database: %w", variable, err)
	}
	return &postgresReader{pool}, nil
}

type postgresReader struct{ pool *pgxpool.Pool }

func (r *postgresReader) Close() error {
	r.pool.Close()
	return nil
}

func (r *postgresReader) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var granted bool
	if err := r.pool.QueryRow(ctx, `SELECT has_table_privilege('verdicts', 'SELECT')`).Scan(&granted); err != nil {
		return explain("ask the audit database", err)
	}
	if !granted {
		return fmt.Errorf("%w: user %q may not read verdicts: set AUDIT_READER_ROLE to it and run `mlmonitor migrate`", ErrRefused, r.pool.Config().ConnConfig.User)
	}
	return nil
}

// The id stands in the tables without U+0000, which Postgres cannot store.
func stored(transactionID string) string { return strings.ReplaceAll(transactionID, "\x00", "\ufffd") }

// byID orders by a sum, which no index has: of a day that was not analysed yet, the planner would else walk the index of published_at through the whole partition, in the hope to meet the id soon.
const byID = ` WHERE transaction_id = $1 ORDER BY published_at + interval '0' DESC, topic, partition, "offset" DESC LIMIT $2`

func (r *postgresReader) Find(ctx context.Context, transactionID string, limit int) ([]Found, error) {
	return r.rows(ctx, "find a verdict", byID, stored(transactionID), limit)
}

// rows are those of verdicts that the rest of a statement chooses.
func (r *postgresReader) rows(ctx context.Context, doing, rest string, args ...any) ([]Found, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	rows, err := r.pool.Query(ctx, `SELECT payload::text, topic, partition, "offset", published_at FROM verdicts`+rest, args...)
	if err != nil {
		return nil, explain(doing, err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (f Found, err error) {
		var payload string
		err = row.Scan(&payload, &f.Topic, &f.Partition, &f.Offset, &f.PublishedAt)
		f.Payload, f.PublishedAt = []byte(payload), f.PublishedAt.UTC()
		return f, err
	})
	return found, explain(doing, err)
}

type sqliteReader struct{ db *sql.DB }

func (r *sqliteReader) Close() error { return r.db.Close() }

func (r *sqliteReader) Ping(ctx context.Context) error {
	_, err := r.Find(ctx, "", 1)
	return err
}

func (r *sqliteReader) Find(ctx context.Context, transactionID string, limit int) ([]Found, error) {
	return r.rows(ctx, "find a verdict", ` WHERE transaction_id = ? ORDER BY +published_at DESC, topic, partition, "offset" DESC LIMIT ?`, stored(transactionID), limit)
}

func (r *sqliteReader) rows(ctx context.Context, doing, rest string, args ...any) (found []Found, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	rows, err := r.db.QueryContext(ctx, `SELECT payload, topic, partition, "offset", published_at FROM verdicts`+rest, args...)
	if err != nil {
		return nil, explainSQLite(doing, err)
	}
	defer rows.Close()
	for rows.Next() {
		var f Found
		var payload, published string
		if err := rows.Scan(&payload, &f.Topic, &f.Partition, &f.Offset, &published); err != nil {
			return nil, explainSQLite(doing, err)
		}
		f.Payload = []byte(payload)
		if f.PublishedAt, err = time.Parse(time.RFC3339, published); err != nil {
			return nil, fmt.Errorf("%s: %w", doing, err)
		}
		found = append(found, f)
	}
	return found, explainSQLite(doing, rows.Err())
}
