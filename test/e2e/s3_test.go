//go:build s3

package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/mlmonitor/mlmonitor/test/rig"
)

// TestBackupsGoToAStoreThatSpeaksS3: every backup goes to a bucket of MinIO and comes back from there, old ones are forgotten, and who has not the key gets nothing.
func TestBackupsGoToAStoreThatSpeaksS3(t *testing.T) {
	s := sharedStack(t)
	s.postgres = rig.PrivatePostgres(t)
	s.db = s.postgres.Roles
	mustRun(t, []string{"DATABASE_URL=" + s.db.OwnerURL}, "migrate")
	admin, err := pgx.ParseConfig(s.db.AdminURL)
	if err != nil {
		t.Fatal(err)
	}
	sql := func(statement string) string {
		t.Helper()
		return ask(t, s.db.AdminURL, statement)
	}
	data := filepath.Join(filepath.Dir(s.postgres.Log()), "data")
	mayReplicate(t, s.postgres)
	const rows = `SELECT count(*) || ' ' || sum("offset") FROM audit_rejects`
	sql(`WITH new AS (INSERT INTO audit_rejects SELECT 'verdicts', 0, n, now(), NULL, NULL, 'of the test' FROM generate_series(1, 500) AS n RETURNING 1) SELECT count(*)::text FROM new`)
	want := sql(rows)

	b := newBackup(t, s)
	mlflow := filepath.Join(b.dir, "mlflow")
	if err := os.MkdirAll(filepath.Join(mlflow, "artifacts"), 0o700); err != nil {
		t.Fatal(err)
	}
	model := bytes.Repeat([]byte("a model "), 1<<20) // more than one piece of an upload
	if err := os.WriteFile(filepath.Join(mlflow, "artifacts", "model"), model, 0o600); err != nil {
		t.Fatal(err)
	}
	store := startMinIO(t)
	b.env = append(b.env, "RESTIC_REPOSITORY=s3:"+store+"/mlmonitor", "AWS_ACCESS_KEY_ID=backup", "AWS_SECRET_ACCESS_KEY=of the test", "PGHOST="+admin.Host, fmt.Sprintf("PGPORT=%d", admin.Port), "PGUSER=postgres",
		"PGDATABASE="+admin.Database, "MLFLOW_DIR="+mlflow)
	b.run("deploy/backup/backup.sh init")
	for range 2 {
		b.run("deploy/backup/backup.sh base && deploy/backup/backup.sh logical && deploy/backup/backup.sh kafka")
	}
	snapshots := func() int {
		t.Helper()
		out, err := b.try("restic snapshots --json --quiet | grep -o '\"short_id\"' | wc -l")
		n := 0
		if _, scan := fmt.Sscan(out, &n); err != nil || scan != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return n
	}
	if n := snapshots(); n != 6 {
		t.Errorf("the store has %d backups of 6", n)
	}
	b.run("KEEP='--keep-last 1' deploy/backup/backup.sh prune")
	if n := snapshots(); n != 3 {
		t.Errorf("the store has %d backups, 3 are kept", n)
	}
	if out, err := b.try("AWS_SECRET_ACCESS_KEY=another deploy/backup/restore.sh kafka stolen"); err == nil {
		t.Errorf("the store gave it to who has not the key: %s", out)
	}

	if err := s.postgres.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{data, mlflow} {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
	b.run("deploy/backup/restore.sh database " + data + " && deploy/backup/restore.sh mlflow " + mlflow + " && deploy/backup/restore.sh logical audit.dump && deploy/backup/restore.sh kafka layout")
	if err := s.postgres.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the database takes writes", func() bool { return sql("SELECT pg_is_in_recovery()::text") == "false" })
	if got := sql(rows); got != want {
		t.Errorf("the database had %s and has %s", want, got)
	}
	if got, err := os.ReadFile(filepath.Join(mlflow, "artifacts", "model")); err != nil || !bytes.Equal(got, model) {
		t.Errorf("the model did not come back: %d bytes, %v", len(got), err)
	}
	if out, err := b.try("pg_restore --list audit.dump"); err != nil || !strings.Contains(out, "audit_rejects") {
		t.Errorf("the dump: %v: %s", err, out)
	}
	if text, err := os.ReadFile(filepath.Join(b.dir, "layout", "topics")); err != nil || !strings.Contains(string(text), "--topic "+s.topics.Verdicts+" --partitions 6 ") {
		t.Errorf("Kafka's layout: %v: %s", err, text)
	}
}

// startMinIO gives the address of a store that ends with the test. make test-s3 builds it.
func startMinIO(t *testing.T) string {
	t.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", rig.FreePort(t))
	var log bytes.Buffer
	cmd := exec.Command("../../.cache/minio/minio", "server", t.TempDir(), "--address", address, "--console-address", fmt.Sprintf("127.0.0.1:%d", rig.FreePort(t)))
	cmd.Env = append(os.Environ(), "MINIO_ROOT_USER=backup", "MINIO_ROOT_PASSWORD=of the test", "MINIO_UPDATE=off")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("end of the log of MinIO:\n%s", tail(log.String()))
		}
	})
	eventually(t, "MinIO serves", func() bool {
		resp, err := http.Get("http://" + address + "/minio/health/live")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return "http://" + address
}
