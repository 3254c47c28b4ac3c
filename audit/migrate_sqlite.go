package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/pressly/goose/v3"
)

func migrateSQLite(ctx context.Context, cfg Config, db database) (Report, error) {
	report := Report{Database: "sqlite"}
	unlock, err := lockDirectory(ctx, filepath.Dir(db.sqlite))
	if err != nil {
		return report, err
	}
	defer unlock()
	s, err := openSQLite(db.sqlite)
	if err != nil {
		return report, err
	}
	defer s.Close()
	if err := up(ctx, &report, goose.DialectSQLite3, s.db, "sqlite"); err != nil {
		return report, fmt.Errorf("migrate the audit database %s: %w", db.sqlite, err)
	}
	report.Maintenance, err = maintainSQLite(ctx, cfg, db, time.Now())
	return report, err
}

// lockDirectory keeps a second migration out. The lock is on the directory: closing a second descriptor of the database itself would drop
// the locks that SQLite holds on it in this process.
func lockDirectory(ctx context.Context, dir string) (func(), error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: the directory of the database: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", dir, err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("another process migrates the database in %s: %w", dir, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// maintainSQLite knows no partitions: the retention deletes rows.
func maintainSQLite(ctx context.Context, cfg Config, db database, now time.Time) (Maintenance, error) {
	var m Maintenance
	if cfg.RetentionDays == 0 {
		return m, nil
	}
	s, err := openSQLite(db.sqlite)
	if err != nil {
		return m, err
	}
	defer s.Close()
	first := firstKept(cfg, now).Format(sqlitePublished)
	for _, table := range []string{"verdicts", "audit_rejects"} {
		done, err := s.db.ExecContext(ctx, `DELETE FROM `+table+` WHERE published_at < ?`, first)
		if err != nil {
			return m, explainSQLite("delete what is older than AUDIT_RETENTION_DAYS", err)
		}
		n, err := done.RowsAffected()
		if err != nil {
			return m, err
		}
		m.Deleted += n
	}
	return m, nil
}
