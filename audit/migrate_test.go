package audit

import (
	"database/sql"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mlmonitor/mlmonitor/test/rig"
)

func TestMigrateDoesItsWorkOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) { // has migrated
		today := stretch(t, 0, 0, 1)
		today.Rows[0].PublishedAt = time.Now().UTC().Truncate(time.Millisecond) // it has its day's partition; one of another day would be moved
		appended(t, b.open(t), today)
		again := migrate(t, b.owner)
		if want := map[string]int64{"postgres": 3, "sqlite": 2}[again.Database]; again.Version != want || len(again.Applied)+len(again.Created)+len(again.Dropped) != 0 || again.Moved+again.Deleted != 0 {
			t.Errorf("the second time: %+v", again)
		}
		if n := len(b.rows(t)); n != 1 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestAReportReadsAsText(t *testing.T) {
	r := Report{Database: "postgres", Version: 1, Applied: []string{"00001_verdicts.sql"}, Granted: []string{"audit", "reader"},
		Maintenance: Maintenance{Created: []string{"verdicts_2026_11_23"}, Moved: 2, Deleted: 3}}
	want := `postgres: tables at version 1
applied: 00001_verdicts.sql
granted: audit, reader
partitions made: verdicts_2026_11_23
rows moved to their day's partition: 2
rows deleted by the retention: 3`
	if diff := cmp.Diff(want, r.String()); diff != "" {
		t.Error(diff)
	}
}

func TestMigrationsThatRunAtOnceWaitForOneAnother(t *testing.T) {
	claim := func(t *testing.T, cfg Config, dir string) {
		var all sync.WaitGroup
		var mu sync.Mutex
		applied, created := map[string]int{}, map[string]int{}
		for range 4 {
			all.Go(func() {
				r, err := Migrate(t.Context(), cfg)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				for _, name := range r.Applied {
					applied[name]++
				}
				for _, name := range r.Created {
					created[name]++
				}
			})
		}
		all.Wait()
		files, err := fs.ReadDir(migrations, "migrations/"+dir)
		if err != nil || len(files) == 0 {
			t.Fatal("no migrations", err)
		}
		for _, f := range files {
			if applied[f.Name()] != 1 {
				t.Errorf("%s was applied %d times", f.Name(), applied[f.Name()])
			}
		}
		for name, n := range created {
			if n != 1 {
				t.Errorf("%s was made %d times", name, n)
			}
		}
	}
	t.Run("sqlite", func(t *testing.T) { claim(t, config("sqlite:"+t.TempDir()+"/audit.db"), "sqlite") })
	t.Run("postgres", func(t *testing.T) { claim(t, config(rig.Postgres(t).Database(t).OwnerURL), "postgres") })
}

func TestTheSchemaOfANewerProgramIsRefused(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		applied := "1"
		if b.postgres != (rig.Roles{}) {
			applied = "true"
		}
		if _, err := b.view.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, ` + applied + `)`); err != nil {
			t.Fatal(err)
		}
		if _, err := Migrate(t.Context(), b.owner); err == nil || !strings.Contains(err.Error(), "newer") {
			t.Errorf("got %v", err)
		}
	})
}

func TestAMissingRoleIsNamedWithTheRemedy(t *testing.T) {
	cfg := config(rig.Postgres(t).Database(t).OwnerURL)
	cfg.WriterRole = `no "such" role`
	if _, err := Migrate(t.Context(), cfg); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), `CREATE ROLE "no ""such"" role"`) || !strings.Contains(err.Error(), "AUDIT_WRITER_ROLE") {
		t.Errorf("got %v", err)
	}
	cfg.WriterRole = "owner"
	if _, err := Migrate(t.Context(), cfg); !errors.Is(err, ErrRefused) {
		t.Errorf("the owner as the writer: %v", err)
	}
	cfg.WriterRole, cfg.ReaderRole = "", ""
	if r := migrate(t, cfg); len(r.Granted) != 0 {
		t.Errorf("granted %v", r.Granted)
	}
}

// denied runs statements as a user, and expects each to be refused for want of a grant.
func denied(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		_, err := db.Exec(s)
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.Code != "42501" {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func TestTheWriterMayOnlyInsert(t *testing.T) {
	b := onPostgres(t)
	appended(t, b.open(t), stretch(t, 0, 0, 1))
	partition := "verdicts_2026_11_23"
	if _, err := Maintain(t.Context(), b.owner, published); err != nil {
		t.Fatal(err)
	}
	denied(t, connect(t, b.postgres.WriterURL),
		`SELECT * FROM verdicts`, `SELECT count(*) FROM `+partition, `SELECT * FROM verdicts_default`, `SELECT * FROM audit_rejects`,
		`UPDATE verdicts SET decision = 'approve'`, `DELETE FROM verdicts WHERE true`, `TRUNCATE verdicts`, `DROP TABLE verdicts`,
		`INSERT INTO `+partition+` DEFAULT VALUES`, `UPDATE audit_rejects SET reason = ''`, `DELETE FROM audit_offsets`, `TRUNCATE audit_offsets`,
		`CREATE TABLE mine (x int)`, `CREATE TEMP TABLE mine (x int)`, `CREATE SCHEMA mine`, `SELECT * FROM goose_db_version`)
	if _, err := Migrate(t.Context(), Config{DatabaseURL: b.writer.DatabaseURL, PartitionsAhead: 1}); err == nil {
		t.Error("the writer migrates")
	}
}

func TestTheReaderMayOnlyRead(t *testing.T) {
	b := onPostgres(t)
	appended(t, b.open(t), stretch(t, 0, 0, 1))
	db := connect(t, b.postgres.ReaderURL+"&default_transaction_read_only=off") // it is the grants that must hold, not the role's default
	var n int
	if err := db.QueryRow(`SELECT (SELECT count(*) FROM verdicts) + (SELECT count(*) FROM audit_rejects) + (SELECT count(*) FROM audit_offsets)`).Scan(&n); err != nil || n != 2 {
		t.Errorf("%d, %v", n, err)
	}
	denied(t, db, `INSERT INTO verdicts DEFAULT VALUES`, `UPDATE verdicts SET decision = 'approve'`, `DELETE FROM verdicts`, `TRUNCATE verdicts`,
		`INSERT INTO audit_rejects DEFAULT VALUES`, `UPDATE audit_offsets SET next_offset = 0`, `DELETE FROM audit_offsets`, `CREATE TABLE mine (x int)`)
}

func TestMigrateTakesBackWhatARoleHasTooMuch(t *testing.T) {
	b := onPostgres(t)
	if _, err := b.view.Exec(`GRANT ALL ON verdicts TO audit, PUBLIC; GRANT CREATE ON SCHEMA public TO PUBLIC`); err != nil {
		t.Fatal(err)
	}
	migrate(t, b.owner)
	denied(t, connect(t, b.postgres.WriterURL), `SELECT * FROM verdicts`, `DELETE FROM verdicts`, `CREATE TABLE mine (x int)`)
	if err := b.open(t).Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

// days writes a verdict and a reject for each time.
func (b *bench) days(t *testing.T, times ...time.Time) {
	t.Helper()
	s := b.open(t)
	from := offsets(t, s)[0]
	batch := Batch{From: from}
	for i, at := range times {
		v := verdict("tx", from+int64(i))
		batch.Rows = append(batch.Rows, Row{Offset: from + int64(i), PublishedAt: at, Payload: payload(t, v), Verdict: v})
		batch.Rejects = append(batch.Rejects, Reject{Offset: from + int64(i), PublishedAt: at, Reason: "to see what the retention does"})
	}
	batch.Next = from + int64(len(times))
	appended(t, s, batch)
}

// placed says which table each row stands in, and its time.
func (b *bench) placed(t *testing.T) []string {
	t.Helper()
	return b.query(t, `SELECT tableoid::regclass, to_char(published_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') FROM verdicts ORDER BY published_at`, 2)
}

func at(text string) time.Time {
	d, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		panic(err)
	}
	return d
}

func TestStraysMoveToThePartitionOfTheirDay(t *testing.T) {
	b := onPostgres(t)
	now := at("2031-06-10 12:00") // no partition is near
	b.days(t, at("2031-06-08 23:59"), at("2031-06-10 00:00"), at("2031-06-10 23:59"), at("2031-06-13 00:00"), at("2029-01-01 00:00"), lastTime)
	m, err := Maintain(t.Context(), b.owner, now)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Maintenance{Created: []string{"verdicts_2031_06_08", "verdicts_2031_06_10", "verdicts_2031_06_11", "verdicts_2031_06_12"}, Moved: 3}, m); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"verdicts_default 2029-01-01 00:00", "verdicts_2031_06_08 2031-06-08 23:59", "verdicts_2031_06_10 2031-06-10 00:00",
		"verdicts_2031_06_10 2031-06-10 23:59", "verdicts_default 2031-06-13 00:00", "verdicts_default 9999-12-31 23:59"}, b.placed(t)); diff != "" {
		t.Error(diff)
	}
	b.days(t, at("2031-06-12 10:00")) // a day ahead has its place
	if n := b.query(t, `SELECT count(*) FROM verdicts_2031_06_12`, 1); n[0] != "1" {
		t.Errorf("%s rows ahead", n)
	}
}

func TestTheRetentionDropsWholeDaysOnly(t *testing.T) {
	b := onPostgres(t)
	b.owner.RetentionDays = 3
	b.days(t, at("2031-06-06 23:59"), at("2031-06-07 00:00"), at("2031-06-10 10:00"), at("2029-01-01 00:00"))
	if _, err := Maintain(t.Context(), b.owner, at("2031-06-09 12:00")); err != nil { // keeps from 06-06
		t.Fatal(err)
	}
	m, err := Maintain(t.Context(), b.owner, at("2031-06-10 12:00")) // keeps from 06-07
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"verdicts_2031_06_06"}, m.Dropped[len(m.Dropped)-1:]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"verdicts_2031_06_07 2031-06-07 00:00", "verdicts_2031_06_10 2031-06-10 10:00"}, b.placed(t)); diff != "" {
		t.Error(diff)
	}
	if n := b.query(t, `SELECT count(*) FROM audit_rejects`, 1); n[0] != "2" {
		t.Errorf("%s rejects are left", n[0])
	}
}

func TestTheRetentionDeletesInSQLite(t *testing.T) {
	b := onSQLite(t)
	b.days(t, at("2031-06-06 23:59"), at("2031-06-07 00:00"), at("2029-01-01 00:00"), firstTime, lastTime)
	if m, err := Maintain(t.Context(), b.owner, at("2031-06-10 12:00")); err != nil || m.Deleted != 0 {
		t.Errorf("keeps all, but %+v, %v", m, err)
	}
	b.owner.RetentionDays = 3
	if m, err := Maintain(t.Context(), b.owner, at("2031-06-10 12:00")); err != nil || m.Deleted != 6 {
		t.Errorf("%+v, %v", m, err)
	}
	if diff := cmp.Diff([]string{"2031-06-07T00:00:00.000Z", "9999-12-31T23:59:59.999Z"}, b.query(t, `SELECT published_at FROM verdicts ORDER BY 1`, 1)); diff != "" {
		t.Error(diff)
	}
}

// The keeper changes the table under writers that write all the while, also into the partitions that it makes and drops.
func TestMaintenanceUnderWritersLosesNothing(t *testing.T) {
	b := onPostgres(t)
	b.owner.PartitionsAhead = 1
	s := b.open(t)
	const batches = 60
	writing := make(chan error, 1)
	go func() {
		for i := range int64(batches) {
			batch := Batch{From: i * 10, Next: i*10 + 10}
			for o := batch.From; o < batch.Next; o++ {
				v := verdict("tx", o)
				batch.Rows = append(batch.Rows, Row{Offset: o, PublishedAt: at("2031-06-01 00:00").Add(time.Duration(o) * time.Hour), Payload: payload(t, v), Verdict: v})
			}
			var err error
			for range 5 { // the writer too tries again
				if err = s.Append(t.Context(), topic, []Batch{batch}); err == nil {
					break
				}
			}
			if err != nil {
				writing <- err
				return
			}
		}
		writing <- nil
	}()
	moved := int64(0)
	for d := 0; ; d++ {
		m, err := Maintain(t.Context(), b.owner, at("2031-06-01 12:00").Add(time.Duration(d)*day))
		if err != nil {
			t.Fatal(err)
		}
		moved += m.Moved
		if d < 24 {
			continue
		}
		if err := <-writing; err != nil {
			t.Fatal(err)
		}
		break
	}
	if _, err := Maintain(t.Context(), b.owner, at("2031-06-25 12:00")); err != nil {
		t.Fatal(err)
	}
	if got := b.query(t, `SELECT count(*), count(DISTINCT "offset") FROM verdicts`, 2); got[0] != "600 600" {
		t.Errorf("rows and distinct rows: %v", got)
	}
	if got := b.query(t, `SELECT count(*) FROM verdicts_default`, 1); got[0] != "0" {
		t.Errorf("%s strays are left (%d were moved)", got[0], moved)
	}
}
