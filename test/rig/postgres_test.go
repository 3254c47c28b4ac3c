package rig

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

func connectTo(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(limited(t, time.Minute), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func execute(t *testing.T, url, sql string) error {
	t.Helper()
	_, err := connectTo(t, url).Exec(limited(t, time.Minute), sql)
	return err
}

// refusal is the SQLSTATE of an error, "" when there is none.
func refusal(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

func TestRolesConnectByTLSUnderTheirNames(t *testing.T) {
	db := Postgres(t).Database(t)
	for url, role := range map[string]string{db.OwnerURL: "owner", db.WriterURL: "audit", db.ReaderURL: "reader"} {
		var user string
		var encrypted bool
		err := connectTo(t, url).QueryRow(limited(t, time.Minute),
			"SELECT current_user, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").Scan(&user, &encrypted)
		if err != nil || user != role || !encrypted {
			t.Errorf("user %q, TLS %t, %v; want %s by TLS", user, encrypted, err, role)
		}
	}
}

func TestOnlyOwnerCreatesAndGrants(t *testing.T) {
	const insufficientPrivilege, readOnly = "42501", "25006"
	db := Postgres(t).Database(t)
	if err := execute(t, db.OwnerURL, "CREATE TABLE rows (n int); GRANT INSERT ON rows TO audit; GRANT SELECT ON rows TO reader"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ who, url, sql, refused string }{
		{"audit", db.WriterURL, "CREATE TABLE mine (n int)", insufficientPrivilege},
		{"audit", db.WriterURL, "INSERT INTO rows VALUES (1)", ""},
		{"audit", db.WriterURL, "SELECT n FROM rows", insufficientPrivilege},
		{"reader", db.ReaderURL, "SELECT n FROM rows", ""},
		{"reader", db.ReaderURL, "CREATE TABLE mine (n int)", readOnly},
		{"reader", db.ReaderURL, "SET TRANSACTION READ WRITE; INSERT INTO rows VALUES (2)", insufficientPrivilege},
	} {
		if err := execute(t, c.url, c.sql); refusal(err) != c.refused || c.refused == "" && err != nil {
			t.Errorf("%s: %s: got %v, want SQLSTATE %q", c.who, c.sql, err, c.refused)
		}
	}
}

func TestDatabasesAreApartAndEndWithTheirTest(t *testing.T) {
	server := Postgres(t)
	var gone Roles
	t.Run("a test", func(t *testing.T) {
		gone = server.Database(t)
		if err := execute(t, gone.OwnerURL, "CREATE TABLE here (n int)"); err != nil {
			t.Fatal(err)
		}
	})
	const undefinedTable, noDatabase = "42P01", "3D000"
	if err := execute(t, server.Database(t).OwnerURL, "SELECT * FROM here"); refusal(err) != undefinedTable {
		t.Errorf("another database has the table: %v", err)
	}
	if _, err := pgx.Connect(limited(t, time.Minute), gone.OwnerURL); refusal(err) != noDatabase {
		t.Errorf("the database of an ended test: %v, want SQLSTATE %s", err, noDatabase)
	}
}

func TestCommittedRowsSurviveKillAndRestart(t *testing.T) {
	server := PrivatePostgres(t)
	if err := execute(t, server.OwnerURL, "CREATE TABLE kept AS SELECT 42 AS n"); err != nil {
		t.Fatal(err)
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := pgx.Connect(limited(t, time.Minute), server.OwnerURL); err == nil {
		t.Fatal("a killed server answers")
	}
	for _, after := range []string{"kill", "orderly stop"} {
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		var n int
		if err := connectTo(t, server.OwnerURL).QueryRow(limited(t, time.Minute), "SELECT n FROM kept").Scan(&n); err != nil || n != 42 {
			t.Errorf("after %s and restart: n is %d, %v", after, n, err)
		}
	}
}

func TestAPausedPostgresDoesNotAnswerUntilItIsResumed(t *testing.T) {
	server := PrivatePostgres(t)
	conn := connectTo(t, server.OwnerURL)
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	if _, err := pgx.Connect(limited(t, time.Second), server.OwnerURL); err == nil {
		t.Error("a paused server answers")
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := conn.Ping(limited(t, time.Minute)); err != nil {
		t.Errorf("a session from before the pause: %v", err)
	}
}

func TestSharedPostgresIsSharedAndCannotBeHurt(t *testing.T) {
	server := Postgres(t)
	if again := Postgres(t); again != server {
		t.Error("a second call made another server")
	}
	for verb, hurt := range map[string]func() error{"kill": server.Kill, "restart": server.Restart, "pause": server.Pause, "resume": server.Resume} {
		if err := hurt(); !errors.Is(err, errShared) {
			t.Errorf("%s: got %v, want %v", verb, err, errShared)
		}
	}
}
