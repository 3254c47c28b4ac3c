package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mlmonitor/mlmonitor/test/rig"
)

// TestTheReadmeRunsAsItIsWritten: each command under "Run it", in its order, in one shell's environment, on real servers. Only what is another's on every machine is replaced: where
// Kafka and MLflow are, and the number of the version that is promoted.
func TestTheReadmeRunsAsItIsWritten(t *testing.T) {
	s := &stack{kafka: rig.PrivateKafka(t, 1), postgres: rig.PrivatePostgres(t)}
	s.db = s.postgres.Roles
	mlflow := rig.MLflow(t)
	dir := t.TempDir()
	for name, text := range map[string]string{"owner_url": s.db.OwnerURL, "audit_url": s.db.WriterURL} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"bundles/sample", "candidate"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS("../../bundles/sample")); err != nil {
			t.Fatal(err)
		}
	}
	// The simulator makes the same transactions again, so what is known of these is known of those on the topic.
	mustRun(t, nil, "produce", "--count", "20000", "--out", os.DevNull, "--labels", filepath.Join(dir, "labels.csv"))
	registry := []string{"MLFLOW_TRACKING_URI=" + mlflow.URL, "KAFKA_BROKERS=" + strings.Join(s.kafka.Brokers, ","), "BUNDLE_DIR=", "MODEL_CACHE_DIR=" + t.TempDir()}
	for range 2 {
		mustRun(t, registry, "model", "push", "../../bundles/sample")
	}

	lines := commandsUnder(t, "## Run it")
	if len(lines) != 11 {
		t.Errorf("the README has %d commands, this test knows what 11 need", len(lines))
	}
	env := append(os.Environ(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"))
	for _, line := range lines {
		if assignments, ok := strings.CutPrefix(line, "export "); ok {
			if assignments != "KAFKA_BROKERS=kafka:9092" {
				t.Errorf("this test does not know what %s is", line)
			}
			env = append(env, "KAFKA_BROKERS="+strings.Join(s.kafka.Brokers, ","))
			continue
		}
		port := rig.FreePort(t)
		c := &shellCommand{line: line, dir: dir, env: append(env[:len(env):len(env)], fmt.Sprintf("OPS_PORT=%d", port))}
		switch {
		case regexp.MustCompile(`mlmonitor (score|audit)$`).MatchString(line):
			c.start(t)
			t.Cleanup(func() { c.interrupt(t) })
			eventually(t, line+" is ready", func() bool {
				resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/ready", port))
				if err != nil {
					return false
				}
				resp.Body.Close()
				return resp.StatusCode == http.StatusOK
			})
		case strings.Contains(line, "mlmonitor produce"): // until somebody interrupts it
			c.start(t)
			time.Sleep(5 * time.Second)
			c.interrupt(t)
		case strings.Contains(line, "mlmonitor model promote 7 "):
			// Of those whom the registry tells what decides.
			mustRun(t, registry, "model", "promote", "1", "--force", "--why", "the first")
			supervise(t, "score", "from-registry", rig.FreePort(t), append(registry, "MODEL_POLL_INTERVAL=500ms")).becomesReady(t)
			c.line, c.env = strings.Replace(line, " 7 ", " 2 --force ", 1), append(c.env, registry...)
			c.run(t)
		default:
			c.run(t)
		}
	}
	for _, name := range []string{"report.html", "drift.html"} {
		if page, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Contains(page, []byte("</html>")) {
			t.Errorf("%s: %v, %d bytes", name, err, len(page))
		}
	}
	if n := s.count(t.Context()); n == 0 {
		t.Error("nothing was audited")
	}
}

// commandsUnder are the lines of the first shell block under a heading of the README, without their comments.
func commandsUnder(t *testing.T, heading string) (lines []string) {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), heading+"\n")
	_, block, _ := strings.Cut(section, "```sh\n")
	block, _, ok := strings.Cut(block, "```")
	if !ok {
		t.Fatalf("the README has no commands under %q", heading)
	}
	for line := range strings.Lines(block) {
		line, _, _ = strings.Cut(line, " #")
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// shellCommand is a line that a shell runs.
type shellCommand struct {
	line, dir string
	env       []string
	cmd       *exec.Cmd
	out       bytes.Buffer
}

func (c *shellCommand) prepare() {
	c.cmd = exec.Command("sh", "-c", "exec env "+c.line)
	c.cmd.Dir, c.cmd.Env, c.cmd.Stdout, c.cmd.Stderr = c.dir, c.env, &c.out, &c.out
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

func (c *shellCommand) run(t *testing.T) {
	t.Helper()
	c.prepare()
	if err := c.cmd.Run(); err != nil {
		t.Errorf("%s: %v\n%s", c.line, err, tail(c.out.String()))
	}
}

func (c *shellCommand) start(t *testing.T) {
	t.Helper()
	c.prepare()
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

// interrupt ends it as ^C does: it must end in an orderly way.
func (c *shellCommand) interrupt(t *testing.T) {
	t.Helper()
	if err := c.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
	if err := c.cmd.Wait(); err != nil {
		t.Errorf("%s: %v\n%s", c.line, err, tail(c.out.String()))
	}
}
