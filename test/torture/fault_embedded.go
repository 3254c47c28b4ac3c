package torture

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

// embeddedKinds hurt the demo, whose broker and database are in its process.
func embeddedKinds() []kind {
	return []kind{{name: "embedded-disk-full", weight: 1, targets: []string{"demo"}, do: embeddedDiskFull}}
}

// embeddedDiskFull runs the demo on a small disk: it must end before that is full, with an error that says so. On a larger disk it must go on, and find
// every transaction answered and audited once.
func embeddedDiskFull(ctx context.Context, a *act) (string, error) {
	disk, err := os.MkdirTemp("", "mlmonitor-torture-demo")
	if err != nil {
		return "", err
	}
	defer os.Remove(disk)
	mount := func(option string) error {
		out, err := exec.CommandContext(ctx, "mount", "-t", "tmpfs", "-o", option, "torture", disk).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: mount: %w: %s", errVoid, err, strings.TrimSpace(string(out)))
		}
		return nil
	}
	if err := mount(fmt.Sprintf("size=%dm", 55+a.rng.IntN(10))); err != nil {
		return "", err
	}
	defer exec.Command("umount", disk).Run()
	dir := filepath.Join(disk, "data")
	_, stderr, err := a.demo(ctx, dir, "--for", "60s", "--rate", "3000")
	if err == nil {
		return "", fmt.Errorf("%w: a minute did not fill the disk", errVoid)
	}
	if !strings.Contains(stderr, "the disk is nearly full") {
		a.find("embedded", "the demo on a full disk does not say so: "+last(stderr, 1000))
	}
	if err := mount("remount,size=400m"); err != nil {
		return "", err
	}
	out, stderr, err := a.demo(ctx, dir, "--for", "3s", "--json")
	if err != nil {
		a.find("embedded", fmt.Sprintf("the demo does not go on after its disk was full: %v: %s", err, last(stderr, 1000)))
		return "the disk was full", nil
	}
	var s app.Summary
	if err := json.Unmarshal(out, &s); err != nil {
		return "", err
	}
	if !s.ExactlyOnce || s.Transactions != s.Verdicts+s.DeadLetters || s.Verdicts != s.AuditRows {
		a.find("embedded", fmt.Sprintf("after its disk was full the demo has %+v", s))
	}
	return fmt.Sprintf("the disk was full; then %d transactions were found answered", s.Transactions), nil
}

// demo runs the demo to its end.
func (a *act) demo(ctx context.Context, dir string, more ...string) (stdout []byte, stderr string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	ports, err := rig.FreePorts(1)
	if err != nil {
		return nil, "", err
	}
	cmd := exec.CommandContext(ctx, a.binary, append([]string{"demo", "--dir", dir}, more...)...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("OPS_PORT=%d", ports[0]))
	var errs strings.Builder
	cmd.Stderr = &errs
	stdout, err = cmd.Output()
	return stdout, errs.String(), errors.Join(err, ctx.Err())
}

func last(s string, n int) string { return s[max(0, len(s)-n):] }
