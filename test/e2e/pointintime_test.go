//go:build drill

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mlmonitor/mlmonitor/test/rig"
)

// TestAMistakeIsUndone: rows are deleted by mistake, after the base backup; a restore up to just before has them again, and nothing of what came after.
func TestAMistakeIsUndone(t *testing.T) {
	postgres := rig.PrivatePostgres(t)
	dir := t.TempDir()
	secret := filepath.Join(dir, "restic_password")
	if err := os.WriteFile(secret, []byte("of the drill"), 0o600); err != nil {
		t.Fatal(err)
	}
	admin, err := pgx.ParseConfig(postgres.AdminURL)
	if err != nil {
		t.Fatal(err)
	}
	data, wal := filepath.Join(filepath.Dir(postgres.Log()), "data"), filepath.Join(dir, "wal")
	env := append(os.Environ(), "RESTIC_REPOSITORY="+filepath.Join(dir, "repository"), "RESTIC_PASSWORD_FILE="+secret, "RESTIC_CACHE_DIR="+filepath.Join(dir, "cache"),
		"PGHOST="+admin.Host, fmt.Sprintf("PGPORT=%d", admin.Port), "PGUSER=postgres", "PGDATABASE="+admin.Database)
	script := func(name string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "../../deploy/backup/"+name, args...)
		cmd.Env = env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
	}
	sql := func(statement string) string {
		t.Helper()
		return ask(t, postgres.AdminURL, statement)
	}
	mayReplicate(t, postgres)
	mustRun(t, []string{"DATABASE_URL=" + postgres.OwnerURL}, "migrate")

	script("backup.sh", "init")
	receiver := exec.CommandContext(t.Context(), "../../deploy/backup/backup.sh", "wal", wal)
	receiver.Env = env
	if err := receiver.Start(); err != nil {
		t.Fatal(err)
	}
	defer receiver.Wait()
	defer receiver.Process.Kill()
	eventually(t, "the log is received", func() bool { return sql("SELECT count(*)::text FROM pg_stat_replication") == "1" })
	script("backup.sh", "base", wal)
	rows := func() string { return sql("SELECT count(*)::text FROM audit_rejects") }
	reject := func(from, to int) {
		sql(fmt.Sprintf(`WITH new AS (INSERT INTO audit_rejects SELECT 'verdicts', 0, n, now(), NULL, NULL, 'of the drill' FROM generate_series(%d, %d) AS n RETURNING 1) SELECT count(*)::text FROM new`, from, to))
	}
	reject(1, 500)
	before := sql("SELECT clock_timestamp()::text")
	time.Sleep(time.Second) // a target between two transactions, not at one
	sql("WITH gone AS (DELETE FROM audit_rejects RETURNING 1) SELECT count(*)::text FROM gone")
	reject(501, 503)
	if n := rows(); n != "3" {
		t.Fatalf("%s rows are left of the mistake", n)
	}
	end := sql("SELECT pg_current_wal_flush_lsn()::text")
	eventually(t, "the log has it", func() bool {
		return sql("SELECT coalesce(bool_and(flush_lsn >= '"+end+"'::pg_lsn), false)::text FROM pg_stat_replication") == "true"
	})

	if err := postgres.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(data); err != nil {
		t.Fatal(err)
	}
	env = append(env, "TO="+before)
	script("restore.sh", "database", data, wal)
	if err := postgres.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the database takes writes", func() bool { return sql("SELECT pg_is_in_recovery()::text") == "false" })
	if n := rows(); n != "500" {
		t.Errorf("%s rows are there as of %s, want the 500 of before the mistake", n, before)
	}
}
