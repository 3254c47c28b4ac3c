package kit

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Process is a program that is measured.
type Process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended
	err   error         // how it ended
}

// Start starts a program with further environment; what it prints goes to stderr.
func Start(env []string, args ...string) (*Process, error) {
	p := &Process{cmd: exec.Command(args[0], args[1:]...), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = os.Stderr, os.Stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// PID of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended is closed when the process has ended; Stop says how.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Stop asks the process to end, makes it after 15 s, and says whether it ended well.
func (p *Process) Stop() error {
	p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already: then Wait's answer counts
	select {
	case <-p.ended:
	case <-time.After(15 * time.Second):
		p.cmd.Process.Kill()
		<-p.ended
		return fmt.Errorf("%s did not end within 15 s of SIGTERM", p.cmd.Path)
	}
	if p.err != nil {
		return fmt.Errorf("%s: %w", p.cmd.Path, p.err)
	}
	return nil
}

// CPU is the user and system time that a process has used so far, in steps of 10 ms.
func CPU(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field, the name in parentheses, may hold spaces; user and system time are the 14th and 15th.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var user, system int64
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		return 0, fmt.Errorf("/proc/%d/stat: %w", pid, err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond, nil // USER_HZ is 100 on Linux
}

// PeakMiB is the most memory that a process has had resident so far.
func PeakMiB(pid int) (float64, error) { return memory(pid, "VmHWM:") }

// ResidentMiB is the memory that a process has resident now.
func ResidentMiB(pid int) (float64, error) { return memory(pid, "VmRSS:") }

func memory(pid int, field string) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(status), field)
	var kib float64
	if _, err := fmt.Sscan(after, &kib); err != nil {
		return 0, fmt.Errorf("/proc/%d/status has no %s: %w", pid, field, err)
	}
	return kib / 1024, nil
}

// Kill ends the process by SIGKILL, and returns when it is gone.
func (p *Process) Kill() {
	p.cmd.Process.Kill() // it may have ended already
	<-p.ended
}
