package audit

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

func TestMain(m *testing.M) {
	// The SQL package's opener ends a moment after Close.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

// bench is a migrated database of this test's own: the writer's configuration, and a view of the tables for whoever may read them.
type bench struct {
	writer, owner Config
	view          *sql.DB
	postgres      rig.Roles // zero with SQLite
}

func config(url string) Config {
	return Config{DatabaseURL: kafka.Secret(url), Group: "audit-test", BatchRecords: 5000, BatchBytes: 8 << 20, Session: 6 * time.Second,
		WriterRole: "audit", ReaderRole: "reader", PartitionsAhead: 2}
}

func onSQLite(t *testing.T) *bench {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit 100%?.db") // a path that a URL must escape
	b := &bench{writer: config("sqlite:" + path)}
	b.owner = b.writer
	migrate(t, b.owner)
	s, err := openSQLite(path)
	if err != nil {
		t.Fatal(err)
	}
	b.view = s.db
	t.Cleanup(func() { s.Close() })
	return b
}

func onPostgres(t *testing.T) *bench {
	t.Helper()
	roles := rig.Postgres(t).Database(t)
	b := &bench{writer: config(roles.WriterURL), owner: config(roles.OwnerURL), postgres: roles}
	migrate(t, b.owner)
	b.view = connect(t, roles.OwnerURL)
	return b
}

// connect opens a database as a user.
func connect(t *testing.T, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func migrate(t *testing.T, cfg Config) Report {
	t.Helper()
	r, err := Migrate(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// onBoth runs a claim about stores on each of the two.
func onBoth(t *testing.T, claim func(*testing.T, *bench)) {
	t.Run("sqlite", func(t *testing.T) { claim(t, onSQLite(t)) })
	t.Run("postgres", func(t *testing.T) { claim(t, onPostgres(t)) })
}

func (b *bench) open(t *testing.T) Store {
	t.Helper()
	s, err := Open(t.Context(), b.writer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// rows are the verdicts in the table as "partition/offset payload", in order.
func (b *bench) rows(t *testing.T) []string {
	t.Helper()
	return b.query(t, `SELECT partition, "offset", CAST(payload AS text) FROM verdicts ORDER BY partition, "offset"`, 3)
}

// query gives each row's columns as text, separated by blanks.
func (b *bench) query(t *testing.T, query string, columns int) []string {
	t.Helper()
	found, err := b.view.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	all := []string{}
	for found.Next() {
		values, to := make([]sql.NullString, columns), make([]any, columns)
		for i := range values {
			to[i] = &values[i]
		}
		if err := found.Scan(to...); err != nil {
			t.Fatal(err)
		}
		var text []string
		for _, v := range values {
			text = append(text, v.String)
		}
		all = append(all, strings.Join(text, " "))
	}
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

var published = time.Date(2026, 11, 23, 14, 0, 0, 123_000_000, time.UTC)

func verdict(id string, offset int64) schemas.Verdict {
	return schemas.Verdict{TransactionID: schemas.ID(id), Decision: schemas.Review, Probability: 0.4, Margin: -0.40546510810816444,
		Bundle:    schemas.BundleID{Name: "sample", Version: "1", Digest: "sha256:" + strings.Repeat("ab", 32)},
		EventTime: time.Date(2026, 11, 23, 13, 59, 59, 123456000, time.UTC), Source: schemas.Source{Topic: "transactions", Partition: 3, Offset: offset}}
}

func payload(t testing.TB, v schemas.Verdict) []byte {
	t.Helper()
	p, err := v.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// stretch is a batch with a verdict at each offset.
func stretch(t testing.TB, partition int32, from int64, offsets ...int64) Batch {
	t.Helper()
	b := Batch{Partition: partition, From: from}
	for _, o := range offsets {
		v := verdict(fmt.Sprintf("tx-%d-%d", partition, o), o)
		b.Rows = append(b.Rows, Row{Offset: o, PublishedAt: published, Key: []byte("k"), Payload: payload(t, v), Verdict: v})
		b.Next = o + 1
	}
	return b
}
