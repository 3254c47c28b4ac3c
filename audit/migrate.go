package audit

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations
var migrations embed.FS

// Report says what Migrate did. It does the same again in no time: everything in it is what was missing.
type Report struct {
	Database string   `json:"database"` // postgres or sqlite
	Version  int64    `json:"version"`  // of the tables, now
	Applied  []string `json:"applied"`  // migrations applied by this call
	Granted  []string `json:"granted"`  // roles that have their grants
	Maintenance
}

// String is the report in one line a fact.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: tables at version %d", r.Database, r.Version)
	for _, fact := range []struct {
		what  string
		names []string
	}{{"applied", r.Applied}, {"granted", r.Granted}, {"partitions made", r.Created}, {"partitions dropped", r.Dropped}} {
		if len(fact.names) > 0 {
			fmt.Fprintf(&b, "\n%s: %s", fact.what, strings.Join(fact.names, ", "))
		}
	}
	if r.Moved > 0 {
		fmt.Fprintf(&b, "\nrows moved to their day's partition: %d", r.Moved)
	}
	if r.Deleted > 0 {
		fmt.Fprintf(&b, "\nrows deleted by the retention: %d", r.Deleted)
	}
	return b.String()
}

// Maintenance says what Maintain did.
type Maintenance struct {
	Created []string `json:"created"` // partitions made, by name
	Dropped []string `json:"dropped"` // partitions dropped
	Moved   int64    `json:"moved"`   // rows moved from the default partition to their day's
	Deleted int64    `json:"deleted"` // rows deleted by the retention, without those of dropped partitions
}

// lockWait bounds the wait for another process that migrates.
const lockWait = time.Minute

// Migrate makes or updates the tables, grants the roles what they need, and maintains the partitions. Run it as the owner, as often as you
// like: before the first start, after an update, and daily. Two that run at once wait for one another.
func Migrate(ctx context.Context, cfg Config) (Report, error) {
	db, err := parseDatabaseURL(cfg.DatabaseURL)
	if err != nil {
		return Report{}, err
	}
	if db.postgres != nil {
		return migratePostgres(ctx, cfg, db)
	}
	return migrateSQLite(ctx, cfg, db)
}

// Maintain makes partitions ahead of now, moves strays into them, and drops what is older than the retention. Migrate calls it too.
func Maintain(ctx context.Context, cfg Config, now time.Time) (Maintenance, error) {
	db, err := parseDatabaseURL(cfg.DatabaseURL)
	if err != nil {
		return Maintenance{}, err
	}
	if db.postgres != nil {
		return maintainPostgres(ctx, cfg, db, now)
	}
	return maintainSQLite(ctx, cfg, db, now)
}

func migratePostgres(ctx context.Context, cfg Config, db database) (Report, error) {
	report := Report{Database: "postgres"}
	conn := db.postgres.ConnConfig.Copy()
	conn.RuntimeParams["application_name"] = "mlmonitor-migrate"
	pool := stdlib.OpenDB(*conn)
	defer pool.Close()
	if err := checkEncoding(ctx, pool); err != nil {
		return report, err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, uint64(lockWait/time.Second)))
	if err != nil {
		return report, err
	}
	if err := up(ctx, &report, goose.DialectPostgres, pool, "postgres", goose.WithSessionLocker(locker)); err != nil {
		return report, explain("migrate the audit database", err)
	}
	// Roles may not read the table of migrations; a comment everybody may, so doctor can tell.
	if _, err := pool.ExecContext(ctx, fmt.Sprintf(`COMMENT ON TABLE verdicts IS '%s%d'`, versionComment, report.Version)); err != nil {
		return report, explain("note the version", err)
	}
	if report.Granted, err = grant(ctx, db, cfg.WriterRole, cfg.ReaderRole); err != nil {
		return report, err
	}
	report.Maintenance, err = maintainPostgres(ctx, cfg, db, time.Now())
	return report, err
}

// checkEncoding: any other encoding would refuse a verdict one day.
func checkEncoding(ctx context.Context, db *sql.DB) error {
	var encoding string
	if err := db.QueryRowContext(ctx, `SHOW server_encoding`).Scan(&encoding); err != nil {
		return explain("ask the audit database", err)
	}
	if encoding != "UTF8" {
		return fmt.Errorf("%w: its encoding is %s: create it with ENCODING 'UTF8'", ErrRefused, encoding)
	}
	return nil
}

// up applies the migrations that are missing.
func up(ctx context.Context, report *Report, dialect goose.Dialect, db *sql.DB, dir string, opts ...goose.ProviderOption) error {
	files, err := fs.Sub(migrations, path.Join("migrations", dir))
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(dialect, db, files, append(opts, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))...)
	if err != nil {
		return err
	}
	done, err := p.Up(ctx)
	for _, r := range done {
		report.Applied = append(report.Applied, path.Base(r.Source.Path))
	}
	if err != nil {
		return err
	}
	current, target, err := p.GetVersions(ctx)
	if err == nil && current > target {
		err = errors.New("the tables are of a newer program than this one: run the newer `mlmonitor migrate`")
	}
	report.Version = current
	return err
}
