//go:build drill || s3

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/mlmonitor/mlmonitor/test/rig"
)

// backup is where an operator sits: a directory with the scripts, a repository, and Kafka's tools with the properties of who may do all.
type backup struct {
	t     *testing.T
	s     *stack
	dir   string
	admin string
	env   []string
}

func newBackup(t *testing.T, s *stack) *backup {
	t.Helper()
	dir := t.TempDir()
	b := &backup{t: t, s: s, dir: dir, admin: filepath.Join(dir, "admin.properties")}
	deploy, err := filepath.Abs("../../deploy")
	if err == nil {
		err = os.Symlink(deploy, filepath.Join(dir, "deploy"))
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "restic_password"), []byte("of the drill"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	b.env = append(os.Environ(), "RESTIC_REPOSITORY="+filepath.Join(dir, "repository"), "RESTIC_PASSWORD_FILE="+filepath.Join(dir, "restic_password"), "RESTIC_CACHE_DIR="+filepath.Join(dir, "cache"),
		"KAFKA_BROKERS="+strings.Join(s.kafka.SecureBrokers, ","), "KAFKA_ADMIN_CONFIG="+b.admin, "KAFKA_BIN="+rig.KafkaTools(t))
	b.configure()
	return b
}

// configure writes the properties anew, for the password of the cluster that is there.
func (b *backup) configure() {
	b.t.Helper()
	text := fmt.Sprintf(`security.protocol=SASL_SSL
sasl.mechanism=SCRAM-SHA-512
sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="admin" password="%s";
ssl.truststore.type=PEM
ssl.truststore.location=%s
`, b.s.kafka.AdminPassword, b.s.kafka.CAFile)
	if err := os.WriteFile(b.admin, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// run runs lines of shell.
func (b *backup) run(lines string) {
	b.t.Helper()
	if out, err := b.try(lines); err != nil {
		b.t.Fatalf("%s: %v\n%s", lines, err, out)
	}
}

func (b *backup) try(lines string) (string, error) {
	b.t.Helper()
	cmd := exec.CommandContext(b.t.Context(), "bash", "-euc", lines)
	cmd.Dir, cmd.Env = b.dir, b.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// ask gives the one text that a statement finds.
func ask(t *testing.T, url, statement string) (text string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if err := conn.QueryRow(t.Context(), statement).Scan(&text); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	return text
}

// mayReplicate lets who takes backups do so.
func mayReplicate(t *testing.T, postgres *rig.Server) {
	t.Helper()
	hba, err := os.OpenFile(filepath.Join(filepath.Dir(postgres.Log()), "data", "pg_hba.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer hba.Close()
	if _, err := hba.WriteString("local replication postgres trust\n"); err != nil {
		t.Fatal(err)
	}
	ask(t, postgres.AdminURL, "SELECT pg_reload_conf()::text")
}
