package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) {
	os.Exit(build(m))
}

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "mlmonitor-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "mlmonitor")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/mlmonitor").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// run runs a command to its end and gives its standard output.
func run(t *testing.T, env []string, args ...string) (stdout string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = append(os.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("mlmonitor %s: %w\n%s", strings.Join(args, " "), err, tail(errs.String()))
	}
	return out.String(), nil
}

func mustRun(t *testing.T, env []string, args ...string) string {
	t.Helper()
	out, err := run(t, env, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func tail(s string) string {
	return s[max(0, len(s)-4000):]
}

// process is a role that is started again when it ends, as a supervisor would.
type process struct {
	t     *testing.T
	what  string // the program
	role  string
	env   []string
	url   string // of the operations pages
	log   string // file
	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{} // of cmd
	quit  bool
}

// supervise starts a role. port is that of its operations pages.
func supervise(t *testing.T, role, instance string, port int, env []string) *process {
	t.Helper()
	return superviseProgram(t, binary, role, instance, port, env)
}

// superviseProgram is supervise of another build.
func superviseProgram(t *testing.T, program, role, instance string, port int, env []string) *process {
	t.Helper()
	p := &process{t: t, what: program, role: role, url: fmt.Sprintf("http://127.0.0.1:%d", port), log: filepath.Join(t.TempDir(), role+".log"),
		env: append(os.Environ(), append(env, "INSTANCE_ID="+instance, fmt.Sprintf("OPS_PORT=%d", port))...)}
	p.start()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			if data, err := os.ReadFile(p.log); err == nil {
				t.Logf("end of the log of %s %s:\n%s", role, instance, tail(string(data)))
			}
		}
	})
	return p
}

func (p *process) start() {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Error(err)
		return
	}
	defer log.Close()
	cmd := exec.Command(p.what, p.role)
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		p.t.Error(err)
		return
	}
	p.cmd, p.ended = cmd, make(chan struct{})
	go func(ended chan struct{}) {
		cmd.Wait()
		close(ended)
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.quit {
			p.start()
		}
	}(p.ended)
}

// kill ends the process by SIGKILL; the supervisor starts the next.
func (p *process) kill() {
	p.mu.Lock()
	cmd, ended := p.cmd, p.ended
	p.mu.Unlock()
	if cmd.Process.Signal(syscall.SIGKILL) != nil {
		return
	}
	<-ended
}

// restart asks the process to end, in an orderly way; the supervisor starts the next.
func (p *process) restart(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	cmd, ended := p.cmd, p.ended
	p.mu.Unlock()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Fatal("it does not end")
	}
}

// stop asks the process to end, and gives its exit code and how long it took.
func (p *process) stop() (code int, took time.Duration) {
	p.mu.Lock()
	p.quit = true
	cmd, ended := p.cmd, p.ended
	p.mu.Unlock()
	begin := time.Now()
	cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(20 * time.Second): // ten are promised; who takes longer ends with another code
		cmd.Process.Kill()
		<-ended
	}
	return cmd.ProcessState.ExitCode(), time.Since(begin)
}

// resident is the memory that the process has, in bytes.
func (p *process) resident(t *testing.T) int64 {
	t.Helper()
	p.mu.Lock()
	pid := p.cmd.Process.Pid
	p.mu.Unlock()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// ready says whether /ready answers 200, and its text.
func (p *process) ready() (bool, string) {
	client := http.Client{Timeout: 3 * time.Second}
	resp, err := client.Get(p.url + "/ready")
	if err != nil {
		return false, err.Error()
	}
	defer resp.Body.Close()
	var text bytes.Buffer
	text.ReadFrom(resp.Body)
	return resp.StatusCode == http.StatusOK, text.String()
}

// patience bounds every wait for what must come: no longer than a busy machine may need, and far longer than any needs that is not.
const patience = 4 * time.Minute

// eventually waits for what processes do.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("%s: it did not come to that within %v", what, patience)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// fetch gets a page.
func fetch(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, text.String()
}
