package rig

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// script is one of test/stack, with the directory of the server that it serves.
type script struct {
	path string
	dir  string
}

// scriptTimeout bounds one call. Three Kafka nodes on a busy machine take half a minute; a first call also downloads.
const scriptTimeout = 10 * time.Minute

// newScript makes a directory for a server. It is not that of the test, which only the test's own user may enter: Postgres may run as another.
func newScript(name string) (script, error) {
	path, err := findScript(name)
	if err != nil {
		return script{}, err
	}
	dir, err := os.MkdirTemp("", "mlmonitor-rig")
	if err != nil {
		return script{}, err
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		return script{}, err
	}
	return script{path: path, dir: dir}, nil
}

// findScript looks in the module that the working directory is in.
func findScript(name string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		path := filepath.Join(dir, "test", "stack", name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("test/stack/%s is not below any parent of the working directory: run inside the repository", name)
		}
		dir = parent
	}
}

// start starts the server, and has it end with this process.
func (s script) start(env ...string) error {
	return s.run(append(env, fmt.Sprintf("OWNER_PID=%d", os.Getpid())), "start", s.dir)
}

// call runs a verb on the server.
func (s script) call(verb string, args ...string) error {
	return s.run(nil, append([]string{verb, s.dir}, args...)...)
}

// remove stops the server and removes its directory.
func (s script) remove() error {
	if err := s.call("stop"); err != nil {
		return err
	}
	return os.RemoveAll(s.dir)
}

func (s script) run(env []string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), scriptTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.path, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = 5 * time.Second // in case something that it started still holds its output
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", filepath.Base(s.path), strings.Join(args, " "), errors.Join(err, ctx.Err()), strings.TrimSpace(out.String()))
	}
	return nil
}

// environment reads the NAME=value lines that the script wrote to tell how to connect.
func (s script) environment() (map[string]string, error) {
	f, err := os.Open(filepath.Join(s.dir, "env"))
	if err != nil {
		return nil, fmt.Errorf("read how to connect, is a server in this directory? %w", err)
	}
	defer f.Close()
	env := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), "=")
		if !ok {
			return nil, fmt.Errorf("read %s: %q is not NAME=value", f.Name(), lines.Text())
		}
		env[name] = value
	}
	return env, nil
}

// logTails gives the end of each of the server's logs.
func (s script) logTails() string {
	const most = 4000
	var b strings.Builder
	for _, pattern := range []string{"log", "*/log"} {
		paths, err := filepath.Glob(filepath.Join(s.dir, pattern))
		if err != nil {
			continue // the pattern is ours
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				continue // a directory of that name
			}
			fmt.Fprintf(&b, "end of %s:\n%s\n", path, data[max(0, len(data)-most):])
		}
	}
	return b.String()
}
