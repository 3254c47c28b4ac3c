package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Where the Makefile puts things, from the root of the repository.
const (
	folder  = "test/bench/forest"
	cache   = ".cache/bench-forest"
	virtual = ".cache/venv-bench-forest"
)

// What a peer may take before its row says that it was given up.
const (
	buildLimit  = 20 * time.Minute // for one model, whose build is kept; for compilers, on a machine that has other work too
	costly      = time.Minute      // a build that failed after more is not tried again by itself
	answerLimit = time.Minute
)

// peer is an engine of others. Its packages have their versions in requirements.txt.
type peer struct {
	name     string
	packages []string
}

var peers = []peer{
	{"lightgbm", []string{"lightgbm"}},
	{"xgboost", []string{"xgboost-cpu"}},
	{"lleaves", []string{"lleaves", "llvmlite"}},
	{"lleaves-outlined", []string{"lleaves", "llvmlite"}},
	{"tl2cgen", []string{"tl2cgen", "treelite"}},
	{"tl2cgen-quantized", []string{"tl2cgen", "treelite"}},
	{"onnxruntime", []string{"onnxruntime", "onnxmltools", "skl2onnx", "onnx"}},
	{"ydf", []string{"ydf"}},
}

// selected are the peers that a list names: "all", "none", or names with commas between them.
func selected(list string) ([]peer, error) {
	switch list {
	case "all":
		return peers, nil
	case "none":
		return nil, nil
	}
	var some []peer
	for name := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(peers, func(p peer) bool { return p.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no peer %q: take all, none, or some of %s", name, names(peers))
		}
		some = append(some, peers[i])
	}
	return some, nil
}

func names(some []peer) string {
	var all []string
	for _, p := range some {
		all = append(all, p.name)
	}
	return strings.Join(all, ",")
}

// install installs the peer's packages into the virtual environment, once.
func (p peer) install(ctx context.Context) error {
	stamp := filepath.Join(virtual, "installed-"+p.packages[0])
	if _, err := os.Stat(stamp); err == nil {
		return nil
	}
	args := []string{"-m", "pip", "install", "-q", "--disable-pip-version-check", "-c", filepath.Join(folder, "requirements.txt")}
	if _, err := run(ctx, buildLimit, append(args, p.packages...)...); err != nil {
		return fmt.Errorf("cannot be installed: %w", err)
	}
	return os.WriteFile(stamp, nil, 0o644)
}

// built is what build.py says of a peer.
type built struct {
	Command []string // times it, and speaks the language of native.cpp
	Version string
	Ours    bool // it scores the LightGBM model, and not one of its own
}

// build makes what the peer needs for a model. A failure that took long is kept, and not tried again before its mark is removed.
func (p peer) build(ctx context.Context, shape string) (b built, err error) {
	mark := filepath.Join(cache, shape+"."+p.name+".given-up")
	if why, err := os.ReadFile(mark); err == nil {
		return b, fmt.Errorf("%s (in an earlier run; remove %s to try again)", why, mark)
	}
	begin := time.Now()
	out, err := run(ctx, buildLimit, filepath.Join(folder, "peers/build.py"), p.name, shape, cache)
	if took := time.Since(begin).Round(time.Second); err != nil && ctx.Err() == nil {
		err = fmt.Errorf("cannot be built: %w, after %v", err, took)
		if took > costly {
			err = errors.Join(err, os.WriteFile(mark, []byte(err.Error()), 0o644))
		}
	}
	if err != nil {
		return b, err
	}
	if err := json.Unmarshal(out, &b); err != nil {
		return b, fmt.Errorf("read what build.py says of it: %w", err)
	}
	return b, nil
}

// run runs the environment's Python, and gives its standard output. The error has the last line of its standard error, where Python says why.
func run(ctx context.Context, limit time.Duration, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := command(ctx, filepath.Join(virtual, "bin/python"), args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil, fmt.Errorf("it took longer than %v", limit)
	}
	if said := lastLine(stderr.Bytes()); err != nil && said != "" {
		err = fmt.Errorf("%w: %s", err, said)
	}
	return out, err
}

// command is one that ends with its context, together with what it started, and whose libraries use one thread.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1", "MKL_NUM_THREADS=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}

func lastLine(text []byte) string {
	text = bytes.TrimSpace(text)
	return string(bytes.TrimSpace(text[bytes.LastIndexByte(text, '\n')+1:]))
}

// remote is an engine in a process of its own, which waits, and uses no CPU, while others are measured.
type remote struct {
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	answers chan string // closed when the process ends
	stderr  *bytes.Buffer
	stop    context.CancelFunc
}

func start(ctx context.Context, args []string) (*remote, error) {
	ctx, stop := context.WithCancel(ctx)
	r := &remote{cmd: command(ctx, args[0], args[1:]...), answers: make(chan string, 1), stderr: &bytes.Buffer{}, stop: stop}
	r.cmd.Stderr = r.stderr
	var err error
	if r.stdin, err = r.cmd.StdinPipe(); err != nil {
		stop()
		return nil, err
	}
	stdout, err := r.cmd.StdoutPipe()
	if err != nil {
		stop()
		return nil, err
	}
	if err := r.cmd.Start(); err != nil {
		stop()
		return nil, err
	}
	go func() {
		defer close(r.answers)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if answer, ok := strings.CutPrefix(lines.Text(), "= "); ok {
				r.answers <- answer
			}
		}
	}()
	return r, nil
}

// ask gives the answer to a command. After an error the engine is of no more use.
func (r *remote) ask(format string, args ...any) (string, error) {
	if _, err := fmt.Fprintf(r.stdin, format+"\n", args...); err != nil {
		return "", r.died()
	}
	select {
	case answer, ok := <-r.answers:
		if !ok {
			return "", r.died()
		}
		return answer, nil
	case <-time.After(answerLimit):
		r.stop()
		return "", fmt.Errorf("no answer for %v", answerLimit)
	}
}

// died gives the reason for which the process ended, or ended its output, after which it has a moment to end.
func (r *remote) died() error {
	defer time.AfterFunc(5*time.Second, r.stop).Stop()
	r.stdin.Close()
	for range r.answers { // Wait closes the pipe that they come from
	}
	err := r.cmd.Wait()
	return fmt.Errorf("its process ended (%v): %s", err, lastLine(r.stderr.Bytes()))
}

func (r *remote) nanoseconds(batch int) (float64, error) {
	answer, err := r.ask("time %d %g", batch, measured.Seconds())
	if err != nil {
		return 0, err
	}
	ns, err := strconv.ParseFloat(answer, 64)
	if err == nil && !(ns > 0) {
		err = fmt.Errorf("it measured %v ns", ns)
	}
	return ns, err
}

// margins is over all rows at once: a peer's do not depend on the batch.
func (r *remote) margins(int) ([]float64, error) {
	path := filepath.Join(cache, "answer.f64")
	defer os.Remove(path)
	if _, err := r.ask("score %s", path); err != nil {
		return nil, err
	}
	return readFloats(path)
}

func (r *remote) close() {
	r.stop()
	r.died() // as told
}
