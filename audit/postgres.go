package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Bounds of a connection. A writer that stands still must not hold the offset rows: the server ends its transaction.
const (
	connectTimeout = 5 * time.Second
	appendTimeout  = 30 * time.Second // of one Append as a whole
	maxConnections = 4                // append, readiness, lag, and one to spare
)

var sessionSettings = map[string]string{
	"application_name":                    "mlmonitor-audit",
	"statement_timeout":                   "20s",
	"lock_timeout":                        "5s",
	"idle_in_transaction_session_timeout": "10s",
}

// postgres is the Store of production.
type postgres struct{ pool *pgxpool.Pool }

func openPostgres(ctx context.Context, cfg *pgxpool.Config) (*postgres, error) {
	for name, value := range sessionSettings {
		if _, set := cfg.ConnConfig.RuntimeParams[name]; !set {
			cfg.ConnConfig.RuntimeParams[name] = value
		}
	}
	if cfg.ConnConfig.ConnectTimeout == 0 || cfg.ConnConfig.ConnectTimeout > time.Minute {
		cfg.ConnConfig.ConnectTimeout = connectTimeout
	}
	cfg.MinConns, cfg.MinIdleConns, cfg.MaxConns = 0, 0, min(cfg.MaxConns, maxConnections)
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open the audit database: %w", err)
	}
	return &postgres{pool}, nil
}

func (p *postgres) Close() error {
	p.pool.Close()
	return nil
}

// Ping also asks for the grants: a reader's or an old database's URL is a mistake to be told of before the first verdict.
func (p *postgres) Ping(ctx context.Context) error {
	const query = `SELECT has_table_privilege('verdicts', 'INSERT') AND has_table_privilege('audit_rejects', 'INSERT')
		AND has_table_privilege('audit_offsets', 'SELECT') AND has_table_privilege('audit_offsets', 'INSERT') AND has_table_privilege('audit_offsets', 'UPDATE')
		AND has_table_privilege('audit_topics', 'SELECT') AND has_table_privilege('audit_topics', 'INSERT')`
	ctx, cancel := context.WithTimeout(ctx, 2*connectTimeout)
	defer cancel()
	var granted bool
	if err := p.pool.QueryRow(ctx, query).Scan(&granted); err != nil {
		return explain("ask the audit database", err)
	}
	if !granted {
		return fmt.Errorf("%w: user %q may not write verdicts: set AUDIT_WRITER_ROLE to it and run `mlmonitor migrate`, or name another user in DATABASE_URL",
			ErrRefused, p.pool.Config().ConnConfig.User)
	}
	return nil
}

func (p *postgres) Count(ctx context.Context) (int64, error) {
	var n int64
	err := p.pool.QueryRow(ctx, `SELECT count(*) FROM verdicts`).Scan(&n)
	return n, explain("count verdicts", err)
}

func (p *postgres) Offsets(ctx context.Context, topic string) (map[int32]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*connectTimeout)
	defer cancel()
	rows, err := p.pool.Query(ctx, `SELECT partition, next_offset FROM audit_offsets WHERE topic = $1`, topic)
	if err != nil {
		return nil, explain("read the audit offsets", err)
	}
	offsets, err := scanOffsets(rows)
	return offsets, explain("read the audit offsets", err)
}

func (p *postgres) Claim(ctx context.Context, topic, id string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*connectTimeout)
	defer cancel()
	// Two statements: of two writers that come first together, both must see who was first.
	if _, err := p.pool.Exec(ctx, `INSERT INTO audit_topics (topic, topic_id) VALUES ($1, $2) ON CONFLICT DO NOTHING`, topic, id); err != nil {
		return explain("note which topic is audited", err)
	}
	stored, err := p.Claimed(ctx, topic)
	if err != nil {
		return err
	}
	return sameTopic(topic, id, stored)
}

func (p *postgres) Claimed(ctx context.Context, topic string) (id string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*connectTimeout)
	defer cancel()
	err = p.pool.QueryRow(ctx, `SELECT coalesce(max(topic_id), '') FROM audit_topics WHERE topic = $1`, topic).Scan(&id)
	return id, explain("read which topic is audited", err)
}

func scanOffsets(rows pgx.Rows) (map[int32]int64, error) {
	offsets := map[int32]int64{}
	var partition int32
	var next int64
	_, err := pgx.ForEachRow(rows, []any{&partition, &next}, func() error {
		offsets[partition] = next
		return nil
	})
	return offsets, err
}
