//go:build drill

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

// TestEverythingComesBack: under load, database and registry are destroyed with their data, and every role is killed. The shipped scripts bring the data back from an encrypted repository, the roles start anew on empty
// disks, and then every verdict has its row, the models have their digests, and no input is answered twice. RPO and RTO are printed.
func TestEverythingComesBack(t *testing.T) {
	s := newStack(t)
	mlflow := rig.SecureMLflow(t)
	dir := t.TempDir()
	secret := filepath.Join(dir, "restic_password")
	if err := os.WriteFile(secret, []byte("of the drill"), 0o600); err != nil {
		t.Fatal(err)
	}
	admin, err := pgx.ParseConfig(s.db.AdminURL)
	if err != nil {
		t.Fatal(err)
	}
	home := filepath.Dir(s.postgres.Log())
	data, wal := filepath.Join(home, "data"), filepath.Join(dir, "wal")
	env := append(os.Environ(), "RESTIC_REPOSITORY="+filepath.Join(dir, "repository"), "RESTIC_PASSWORD_FILE="+secret, "RESTIC_CACHE_DIR="+filepath.Join(dir, "cache"), "MLFLOW_DIR="+mlflow.Dir(),
		"PGHOST="+admin.Host, fmt.Sprintf("PGPORT=%d", admin.Port), "PGUSER=postgres", "PGDATABASE="+admin.Database)
	script := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "../../deploy/backup/"+name, args...)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	sql := func(statement string) string {
		t.Helper()
		return ask(t, s.db.AdminURL, statement)
	}
	mayReplicate(t, s.postgres)

	// Everything at work, with a champion of the registry's.
	models := append(s.env[:len(s.env):len(s.env)], "BUNDLE_DIR=", "MODEL_POLL_INTERVAL=500ms")
	models = append(models, asUser(mlflow, "trainer")...)
	mustRun(t, append(models, "MODEL_CACHE_DIR="+t.TempDir()), "model", "push", "../../bundles/sample")
	mustRun(t, append(models, "MODEL_CACHE_DIR="+t.TempDir()), "model", "promote", "1", "--force", "--by", "ann", "--why", "the first")
	list := mustRun(t, append(models, "MODEL_CACHE_DIR="+t.TempDir()), "model", "list", "--json")
	start := func(name string) (all []*process) {
		for i := range 2 {
			all = append(all, supervise(t, "score", fmt.Sprintf("score-%d", i), rig.FreePort(t), append(models, "MODEL_CACHE_DIR="+filepath.Join(t.TempDir(), name))))
		}
		return append(all, s.audit(t, "audit-0", rig.FreePort(t)))
	}
	roles := start("first")
	for _, p := range roles {
		p.becomesReady(t)
	}
	load := s.flow(t, "--rate", "400", "--customers", "500", "--malformed", "0.002")
	script("backup.sh", "init")
	receive, stop := context.WithCancel(t.Context())
	receiver := exec.CommandContext(receive, "../../deploy/backup/backup.sh", "wal", wal)
	receiver.Env = env
	if err := receiver.Start(); err != nil {
		t.Fatal(err)
	}
	defer receiver.Wait()
	defer stop()
	time.Sleep(5 * time.Second)
	script("backup.sh", "base", wal)
	script("backup.sh", "logical")
	time.Sleep(10 * time.Second) // what comes after the backup is in the log alone

	// The disaster.
	at := time.Now()
	for _, p := range roles {
		p.mu.Lock()
		p.quit = true
		p.mu.Unlock()
		p.kill()
	}
	acknowledged := s.count(t.Context()) // nobody writes any more
	if err := s.postgres.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := mlflow.Kill(); err != nil {
		t.Fatal(err)
	}
	stop()
	for _, path := range []string{data, filepath.Join(mlflow.Dir(), "mlflow.db"), filepath.Join(mlflow.Dir(), "users.db"), filepath.Join(mlflow.Dir(), "artifacts")} {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}

	// The way back.
	script("restore.sh", "database", data, wal)
	script("restore.sh", "mlflow", mlflow.Dir())
	if _, err := os.Stat(filepath.Join(mlflow.Dir(), "users.db")); err != nil { // a start makes the users that are missing
		t.Error(err)
	}
	if err := s.postgres.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := mlflow.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the database takes writes", func() bool { return sql("SELECT pg_is_in_recovery()::text") == "false" })
	restored := s.count(t.Context())
	begun := time.Since(at)
	if after := mustRun(t, append(models, "MODEL_CACHE_DIR="+t.TempDir()), "model", "list", "--json"); after != list {
		t.Errorf("the registry had\n%s\nand has\n%s", list, after)
	}
	for _, p := range start("second") { // empty disks: the champion comes from the registry
		p.becomesReady(t)
	}
	back := time.Since(at)
	eventually(t, "rows after the way back", func() bool { return s.count(t.Context()) > acknowledged+2000 })
	load.end(t)
	var found app.Reconciliation
	eventually(t, "every input has one answer, and one row", func() bool {
		found, err = app.Reconcile(t.Context(), &s.topics)
		return err == nil && found.Exact() && int64(s.count(t.Context())) == found.Verdicts
	})
	if out := mustRun(t, models, "replay", "--verify"); strings.Contains(out, "DIFFERS") {
		t.Errorf("replay says %s", out)
	}
	if rows := sql(`SELECT count(*)::text FROM (SELECT source_topic, source_partition, source_offset FROM verdicts GROUP BY 1, 2, 3 HAVING count(*) > 1) AS twice`); rows != "0" {
		t.Errorf("%s inputs have two rows", rows)
	}
	script("backup.sh", "prune")
	t.Logf("RPO: %d of %d rows were not in the restored database, and came again from the topic: 0 rows are lost of %d", acknowledged-restored, acknowledged, found.Verdicts)
	t.Logf("RTO: %.1f s to the database, %.1f s until every role was ready again", begun.Seconds(), back.Seconds())
}
