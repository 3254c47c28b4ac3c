package audit

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	day             = 24 * time.Hour
	partitionLayout = "verdicts_2006_01_02"
	maxStrayDays    = 400 // strays that are older than this stay in the default partition: a hostile timestamp must not make partitions
)

// today is the beginning of the UTC day of a time.
func today(t time.Time) time.Time { return t.UTC().Truncate(day) }

// firstKept is the first day that the retention keeps.
func firstKept(cfg Config, now time.Time) time.Time {
	if cfg.RetentionDays == 0 {
		return firstTime
	}
	return today(now).Add(-time.Duration(cfg.RetentionDays) * day)
}

func maintainPostgres(ctx context.Context, cfg Config, db database, now time.Time) (Maintenance, error) {
	var m Maintenance
	c := db.postgres.ConnConfig.Copy()
	c.RuntimeParams["application_name"] = "mlmonitor-migrate"
	c.RuntimeParams["lock_timeout"] = "10s" // who waits for a table lock holds up the writers behind it
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return m, explain("maintain the partitions", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	k := keeper{conn: conn, first: firstKept(cfg, now), m: &m}
	needed, err := k.needed(ctx, today(now), cfg.PartitionsAhead)
	if err != nil {
		return m, explain("look for days without a partition", err)
	}
	for _, d := range needed {
		if err := k.transaction(ctx, func(tx pgx.Tx) error { return k.create(ctx, tx, d) }); err != nil {
			return m, explain("make the partition "+d.Format(partitionLayout), err)
		}
	}
	if cfg.RetentionDays == 0 {
		return m, nil
	}
	return m, explain("drop what is older than AUDIT_RETENTION_DAYS", k.retain(ctx))
}

// keeper maintains the partitions, each step in a transaction of its own, so that writers wait for one step at most.
type keeper struct {
	conn  *pgx.Conn
	first time.Time // first day that is kept
	m     *Maintenance
}

func (k *keeper) transaction(ctx context.Context, step func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, k.conn, func(tx pgx.Tx) error {
		if err := lockMaintenance(ctx, tx); err != nil {
			return err
		}
		return step(tx)
	})
}

// lockMaintenance lets one process at a time change tables and grants, until the transaction ends.
func lockMaintenance(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('mlmonitor audit maintenance'))`)
	return err
}

// partitions that exist, by day.
func partitions(ctx context.Context, q interface {
	Query(context.Context, string, ...any) (pgx.Rows, error)
}) (map[time.Time]string, error) {
	rows, err := q.Query(ctx, `SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'verdicts'::regclass`)
	if err != nil {
		return nil, err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	days := map[time.Time]string{}
	for _, name := range names {
		if d, err := time.Parse(partitionLayout, name); err == nil { // not so the default partition
			days[d] = name
		}
	}
	return days, nil
}

// needed are the days that want a partition: today and those ahead, and every day of a stray that is kept.
func (k *keeper) needed(ctx context.Context, today time.Time, ahead int) ([]time.Time, error) {
	exist, err := partitions(ctx, k.conn)
	if err != nil {
		return nil, err
	}
	last := today.Add(time.Duration(ahead) * day)
	oldest := today.Add(-maxStrayDays * day)
	if oldest.Before(k.first) {
		oldest = k.first
	}
	rows, err := k.conn.Query(ctx, `SELECT DISTINCT (published_at AT TIME ZONE 'UTC')::date::timestamp FROM verdicts_default WHERE published_at >= $1 AND published_at < $2`,
		oldest, last.Add(day))
	if err != nil {
		return nil, err
	}
	days, err := pgx.CollectRows(rows, pgx.RowTo[time.Time])
	if err != nil {
		return nil, err
	}
	for d := today; !d.After(last); d = d.Add(day) {
		days = append(days, d)
	}
	slices.SortFunc(days, time.Time.Compare)
	days = slices.CompactFunc(days, time.Time.Equal)
	return slices.DeleteFunc(days, func(d time.Time) bool { return exist[d.UTC()] != "" }), nil
}

// create makes a day's partition beside the table, moves the day's strays there, and attaches it: unlike CREATE … PARTITION OF, that stops only
// writers of strays.
func (k *keeper) create(ctx context.Context, tx pgx.Tx, d time.Time) error {
	exist, err := partitions(ctx, tx)
	if err != nil || exist[d.UTC()] != "" { // another process was faster
		return err
	}
	name := d.Format(partitionLayout)
	table := pgx.Identifier{name}.Sanitize()
	from, to := d.Format(time.RFC3339), d.Add(day).Format(time.RFC3339)
	if _, err := tx.Exec(ctx, fmt.Sprintf(`CREATE TABLE %s (LIKE verdicts INCLUDING ALL); LOCK TABLE verdicts_default IN ACCESS EXCLUSIVE MODE`, table)); err != nil {
		return err
	}
	moved, err := tx.Exec(ctx, fmt.Sprintf(`WITH strays AS (DELETE FROM verdicts_default WHERE published_at >= $1 AND published_at < $2 RETURNING *) INSERT INTO %s SELECT * FROM strays`, table),
		d, d.Add(day))
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, fmt.Sprintf(`ALTER TABLE verdicts ATTACH PARTITION %s FOR VALUES FROM ('%s') TO ('%s')`, table, from, to)); err != nil {
		return err
	}
	k.m.Created, k.m.Moved = append(k.m.Created, name), k.m.Moved+moved.RowsAffected()
	return nil
}

// retain drops the partitions that are wholly older than the first day kept, and deletes such rows where there are no partitions.
func (k *keeper) retain(ctx context.Context) error {
	exist, err := partitions(ctx, k.conn)
	if err != nil {
		return err
	}
	for d, name := range exist {
		if !d.Before(k.first) {
			continue
		}
		if err := k.transaction(ctx, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `DROP TABLE IF EXISTS `+pgx.Identifier{name}.Sanitize())
			return err
		}); err != nil {
			return err
		}
		k.m.Dropped = append(k.m.Dropped, name)
	}
	slices.Sort(k.m.Dropped)
	for _, table := range []string{"verdicts_default", "audit_rejects"} {
		deleted, err := k.conn.Exec(ctx, `DELETE FROM `+table+` WHERE published_at < $1`, k.first)
		if err != nil {
			return err
		}
		k.m.Deleted += deleted.RowsAffected()
	}
	return nil
}
