package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
)

// flow is a producer that sends until it is told to stop, so that there are inputs for as long as a test needs them, however slow the machine.
type flow struct {
	cmd       *exec.Cmd
	out, errs bytes.Buffer
	once      sync.Once
	failed    error
}

// sent is what a flow says that it sent.
type sent struct{ Transactions, Malformed uint64 }

// flow starts to produce; flags go with the command.
func (s *stack) flow(t *testing.T, flags ...string) *flow {
	t.Helper()
	f := &flow{cmd: exec.Command(binary, append([]string{"produce", "--json"}, flags...)...)}
	f.cmd.Env = append(os.Environ(), s.env...)
	f.cmd.Stdout, f.cmd.Stderr = &f.out, &f.errs
	f.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.stop)
	return f
}

func (f *flow) stop() {
	f.once.Do(func() {
		f.cmd.Process.Signal(syscall.SIGTERM)
		f.failed = f.cmd.Wait()
	})
}

// end has it stop, and gives what it sent: all of it is acknowledged.
func (f *flow) end(t *testing.T) (all sent) {
	t.Helper()
	f.stop()
	if f.failed != nil {
		t.Fatalf("produce: %v\n%s", f.failed, tail(f.errs.String()))
	}
	if err := json.Unmarshal(f.out.Bytes(), &all); err != nil {
		t.Fatalf("%v: %s", err, f.out.String())
	}
	if all.Transactions == 0 {
		t.Fatal("nothing was sent")
	}
	return all
}
