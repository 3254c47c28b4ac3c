package torture

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a role of the product that is started again when it ends, as a supervisor would.
type Process struct {
	Name     string
	args     []string
	env      []string
	port     int // of its operations pages; 0: it has none
	log      string
	onExit   func(p *Process, how string) // called when it ends unasked
	nextArgs func(life int) []string      // arguments of a life, behind args; nil: none

	mu     sync.Mutex
	cmd    *exec.Cmd
	ended  chan struct{} // of cmd
	life   int           // from 1
	frozen bool
	wanted bool // it is started again
	asked  bool // its end is ours
}

// Start starts the first life, or the next.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted = true
	return p.start()
}

func (p *Process) start() error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	p.life++
	args := p.args[1:]
	if p.nextArgs != nil {
		args = append(args[:len(args):len(args)], p.nextArgs(p.life)...)
	}
	cmd := exec.Command(p.args[0], args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), p.env...), log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true} // ^C is for the torture alone
	fmt.Fprintf(log, "--- life %d at %s\n", p.life, time.Now().Format(time.RFC3339Nano))
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	ended := make(chan struct{})
	p.cmd, p.ended, p.asked, p.frozen = cmd, ended, false, false
	go func() {
		cmd.Wait() // how it ended is in ProcessState
		p.mu.Lock()
		defer p.mu.Unlock()
		close(ended)
		if p.cmd != cmd {
			return
		}
		if !p.asked {
			p.onExit(p, cmd.ProcessState.String())
		}
		if p.wanted {
			if !p.asked {
				time.Sleep(200 * time.Millisecond) // one that cannot start is not started in a storm
			}
			if err := p.start(); err != nil {
				p.onExit(p, err.Error())
			}
		}
	}()
	return nil
}

// errNotRunning is returned for what only a running process can suffer.
var errNotRunning = errors.New("the process does not run")

// Kill ends the process by SIGKILL, and returns when it is gone; unless it is lost for good, the next life begins at once.
func (p *Process) Kill(forGood bool) error {
	p.mu.Lock()
	if !p.runs() {
		p.mu.Unlock()
		return errNotRunning
	}
	p.asked = true
	if forGood {
		p.wanted = false
	}
	cmd, ended := p.cmd, p.ended
	err := cmd.Process.Signal(syscall.SIGKILL)
	p.mu.Unlock()
	if err != nil {
		return err
	}
	<-ended
	if how := cmd.ProcessState.Sys().(syscall.WaitStatus); !how.Signaled() || how.Signal() != syscall.SIGKILL {
		return fmt.Errorf("%s ended by itself before: %s", p.Name, cmd.ProcessState)
	}
	return nil
}

func (p *Process) runs() bool {
	select {
	case <-p.ended:
		return false
	default:
		return p.cmd != nil
	}
}

// stopLimit is the promise of a graceful stop, ten seconds, with something for a busy machine.
const stopLimit = 20 * time.Second

// Stop asks the process to end, and says how that went; again has the next life begin.
func (p *Process) Stop(again bool) error {
	p.mu.Lock()
	p.wanted = again
	if p.cmd == nil || !p.runs() {
		p.mu.Unlock()
		return errNotRunning
	}
	p.asked = true
	cmd, ended := p.cmd, p.ended
	cmd.Process.Signal(syscall.SIGTERM) // it may have ended this moment
	p.mu.Unlock()
	select {
	case <-ended:
	case <-time.After(stopLimit):
		cmd.Process.Kill()
		<-ended
		return fmt.Errorf("%s did not end within %v of SIGTERM", p.Name, stopLimit)
	}
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("%s ended on SIGTERM with %s", p.Name, cmd.ProcessState)
	}
	return nil
}

// Freeze stops the process in its tracks, and returns when the kernel says that it stands.
func (p *Process) Freeze() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.runs() {
		return errNotRunning
	}
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	p.frozen = true
	for range 200 {
		if state(p.cmd.Process.Pid) == "T" {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return fmt.Errorf("%s does not stand still", p.Name)
}

// Thaw has a frozen process go on; an error when it did not stand still any more.
func (p *Process) Thaw() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.runs() || !p.frozen || state(p.cmd.Process.Pid) != "T" {
		return fmt.Errorf("%s was not frozen all the time", p.Name)
	}
	p.frozen = false
	return p.cmd.Process.Signal(syscall.SIGCONT)
}

// state of a process: one letter, see proc_pid_stat(5); "" when it is gone.
func state(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	return fields[0]
}

// Life is the number of the present life, and PID its process.
func (p *Process) Life() (life, pid int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.life, p.cmd.Process.Pid
}

// Descriptors that the process has open.
func (p *Process) Descriptors() (int, error) {
	_, pid := p.Life()
	open, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "fd"))
	return len(open), err
}

var pages = http.Client{Timeout: 5 * time.Second}

// Get asks for an operations page.
func (p *Process) Get(ctx context.Context, page string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", p.port, page), nil)
	if err != nil {
		return nil, err
	}
	return pages.Do(req)
}

// Ready asks whether the process does its work; nil when it does.
func (p *Process) Ready(ctx context.Context) error {
	resp, err := p.Get(ctx, "/ready")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		line, _ := bufio.NewReader(resp.Body).ReadString('\n')
		return fmt.Errorf("%s: %s", p.Name, strings.TrimSpace(line))
	}
	return nil
}

// Counter adds up the samples of a metric, those whose line has every one of the labels.
func (p *Process) Counter(ctx context.Context, name string, labels ...string) (sum float64, err error) {
	resp, err := p.Get(ctx, "/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	found := false
lines:
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		line, ok := strings.CutPrefix(lines.Text(), name)
		if !ok || line == "" || line[0] != '{' && line[0] != ' ' {
			continue
		}
		for _, label := range labels {
			if !strings.Contains(line, label) {
				continue lines
			}
		}
		value, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			return 0, fmt.Errorf("%s of %s: %w", name, p.Name, err)
		}
		found = true
		sum += value
	}
	if !found {
		return 0, fmt.Errorf("%s has no metric %s %v", p.Name, name, labels)
	}
	return sum, nil
}
