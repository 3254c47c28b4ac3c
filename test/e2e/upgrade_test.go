//go:build upgrade

package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

// TestTwoVersionsRunTogether: the program of before (MLMONITOR_PREVIOUS) and this one in one group, on one database that this one has migrated, as in a rolling upgrade; then only the one of before, as in a
// rollback. Every input has one answer and one row, and each program finds the verdicts of both byte by byte.
func TestTwoVersionsRunTogether(t *testing.T) {
	previous := os.Getenv("MLMONITOR_PREVIOUS")
	if previous == "" {
		t.Fatal("MLMONITOR_PREVIOUS names no program: make test-upgrade PREVIOUS=COMMIT")
	}
	s := newStack(t)
	writer := append(s.env[:len(s.env):len(s.env)], "DATABASE_URL="+s.db.WriterURL)
	both := map[string][]*process{}
	for name, program := range map[string]string{"old": previous, "new": binary} {
		both[name] = []*process{superviseProgram(t, program, "score", "score-"+name, rig.FreePort(t), s.env), superviseProgram(t, program, "audit", "audit-"+name, rig.FreePort(t), writer)}
	}
	for _, all := range both {
		for _, p := range all {
			p.becomesReady(t)
		}
	}
	total := 0
	pass := func(what string, n int) {
		t.Helper()
		s.produce(t, total, n, "--malformed", "0.01")
		total += n
		eventually(t, what+": every input has one answer, and one row", func() bool {
			found, err := app.Reconcile(t.Context(), &s.topics)
			return err == nil && found.Exact() && found.Transactions == int64(total) && int64(s.count(t.Context())) == found.Verdicts
		})
		for name, program := range map[string]string{"old": previous, "new": binary} {
			cmd := exec.CommandContext(t.Context(), program, "replay", "--verify")
			cmd.Env = append(os.Environ(), s.env...)
			if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "DIFFERS") {
				t.Errorf("%s: the %s one verifies: %v\n%s", what, name, err, out)
			}
		}
	}
	pass("together", 3000)
	for _, p := range both["new"] {
		p.stop()
	}
	pass("after the rollback", 2000)
}
