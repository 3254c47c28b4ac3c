// Package docs holds the documentation to what is there: files, headings, commands, flags, targets of make, variables.
package docs

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// documents are what a reader may be sent to.
var documents = []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md", "training/README.md", "deploy/*.md", "deploy/*/*.md", "deploy/*/*/*.md"}

// command is one of the program, as its --help has it.
type command struct {
	below map[string]*command
	flags map[string]bool // true: a value follows
}

// world is what the documentation may name.
type world struct {
	pages     map[string]page // by path from the root
	exists    func(path string) bool
	program   *command
	targets   map[string]bool
	variables map[string]bool
}

func TestEveryLinkLeadsSomewhere(t *testing.T)            { report(t, linkFaults(here(t))) }
func TestEveryCommandAndFlagOfTheDocsExists(t *testing.T) { report(t, commandFaults(here(t))) }
func TestEveryMakeTargetOfTheDocsExists(t *testing.T)     { report(t, targetFaults(here(t))) }
func TestEveryVariableOfTheDocsIsRead(t *testing.T)       { report(t, variableFaults(here(t))) }

func report(t *testing.T, faults []string) {
	t.Helper()
	for _, fault := range faults {
		t.Error(fault)
	}
}

// binary is the program, which is built once, and program what it says of itself.
var (
	binary  string
	program *command
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "mlmonitor-docs")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "mlmonitor")
		if out, err := exec.Command("go", "build", "-o", binary, root+"/cmd/mlmonitor").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
			return 1
		}
		if program, err = walk(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

// here is the repository.
func here(t *testing.T) *world {
	t.Helper()
	w := &world{program: program, pages: map[string]page{}, targets: map[string]bool{}, variables: map[string]bool{}}
	w.exists = func(path string) bool {
		_, err := os.Stat(filepath.Join(root, path))
		return err == nil
	}
	for _, pattern := range documents {
		names, err := fs.Glob(os.DirFS(root), pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			w.pages[name] = parse(read(t, name))
		}
	}
	if len(w.pages) < 10 {
		t.Fatalf("%d documents: does this test still look at the right place?", len(w.pages))
	}
	for _, m := range regexp.MustCompile(`(?m)^([A-Za-z][\w.-]*):(?:[^=]|$)`).FindAllStringSubmatch(read(t, "Makefile"), -1) {
		w.targets[m[1]] = true
	}
	out, err := exec.CommandContext(t.Context(), binary, "config", "--json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []struct {
		Name   string
		Secret bool
	}
	if err := json.Unmarshal(out, &all); err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		w.variables[v.Name] = true
		if v.Secret {
			w.variables[v.Name+"_FILE"] = true
		}
	}
	return w
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	helpCommand = regexp.MustCompile(`(?m)^  ([a-z][\w-]*) {2,}\S`)
	helpFlag    = regexp.MustCompile(`(?m)^ +(?:-(\w), )?--([\w-]+)( \S+)?(?: {2,}|$)`)
)

// walk asks every command for its help.
func walk(path ...string) (*command, error) {
	out, err := exec.Command(binary, append(slices.Clone(path), "--help")...).Output()
	if err != nil {
		return nil, fmt.Errorf("mlmonitor %s --help: %w", strings.Join(path, " "), err)
	}
	c := &command{below: map[string]*command{}, flags: map[string]bool{}}
	_, rest, _ := strings.Cut(string(out), "\nAvailable Commands:\n")
	list, _, _ := strings.Cut(rest, "\n\n")
	for _, m := range helpCommand.FindAllStringSubmatch(list, -1) {
		if c.below[m[1]], err = walk(append(slices.Clone(path), m[1])...); err != nil {
			return nil, err
		}
	}
	_, flags, _ := strings.Cut(string(out), "\nFlags:\n")
	for _, m := range helpFlag.FindAllStringSubmatch(flags, -1) {
		c.flags["--"+m[2]] = m[3] != ""
		if m[1] != "" {
			c.flags["-"+m[1]] = m[3] != ""
		}
	}
	return c, nil
}

// linkFaults are the sentences to say about links to what is not there.
func linkFaults(w *world) (faults []string) {
	for name, p := range w.pages {
		for _, m := range linkTarget.FindAllStringSubmatch(p.prose, -1) {
			path, anchor, _ := strings.Cut(m[1], "#")
			if regexp.MustCompile(`^[a-z]+:`).MatchString(path) {
				continue // of elsewhere
			}
			target := name
			if path != "" {
				target = filepath.Join(filepath.Dir(name), path)
			}
			if strings.HasPrefix(target, "..") || !w.exists(target) {
				faults = append(faults, name+" links to "+m[1]+": there is no "+target)
				continue
			}
			if anchor == "" {
				continue
			}
			there, known := w.pages[target]
			if !known || !there.anchors[anchor] {
				faults = append(faults, name+" links to "+m[1]+": "+target+" has no such heading")
			}
		}
	}
	return faults
}

// commandsOf are those that a page names, with how it writes them.
func (p *page) commandsOf() map[string][][]string {
	all := map[string][][]string{}
	for _, line := range p.shell {
		all[line] = shellCommands(line)
	}
	for _, span := range p.spans {
		all[span] = spanCommands(span)
	}
	return all
}

func commandFaults(w *world) (faults []string) {
	for name, p := range w.pages {
		for written, commands := range p.commandsOf() {
			for _, words := range commands {
				if filepath.Base(words[0]) != "mlmonitor" || strings.HasPrefix(words[0], "/") {
					continue
				}
				if fault := w.program.fault(words[1:]); fault != "" {
					faults = append(faults, fmt.Sprintf("%s has %q: %s", name, written, fault))
				}
			}
		}
		// Inline code may leave the program's name out, as `dlq list` does. What has a colon is a message.
		for _, span := range p.spans {
			if strings.Contains(span, ": ") {
				continue
			}
			for _, words := range spanCommands(span) {
				if c := w.program.below[words[0]]; c != nil && len(words) > 1 && (len(c.below) > 0 || strings.HasPrefix(words[1], "--")) {
					if fault := w.program.fault(words); fault != "" {
						faults = append(faults, fmt.Sprintf("%s has %q: %s", name, span, fault))
					}
				}
			}
		}
	}
	return faults
}

// fault says what of a command line does not exist.
func (c *command) fault(words []string) string {
	path, words := "mlmonitor", slices.Clone(words)
	for len(words) > 0 && words[0] != "--" {
		word := words[0]
		words = words[1:]
		switch {
		case strings.HasPrefix(word, "-") && word != "-":
			flag, _, given := strings.Cut(word, "=")
			value, known := c.flags[flag]
			if !known {
				return path + " has no flag " + flag
			}
			if value && !given && len(words) > 0 {
				words = words[1:]
			}
		case c.below[word] != nil:
			c, path = c.below[word], path+" "+word
		case len(c.below) > 0 && commandName.MatchString(word):
			return path + " has no command " + word
		}
	}
	return ""
}

// commandName is what the name of a command looks like: not FILE, … or >out.
var commandName = regexp.MustCompile(`^[a-z][a-z-]*$`)

func targetFaults(w *world) (faults []string) {
	for name, p := range w.pages {
		for written, commands := range p.commandsOf() {
			for _, words := range commands {
				if words[0] != "make" {
					continue
				}
				for _, word := range words[1:] {
					if !strings.HasPrefix(word, "-") && !assignment.MatchString(word) && !w.targets[word] {
						faults = append(faults, fmt.Sprintf("%s has %q: the Makefile has no target %s", name, written, word))
					}
				}
			}
		}
	}
	return faults
}

var ours = regexp.MustCompile(`\b(?:KAFKA|API|CONSUMER|AUDIT|DRIFT|MLFLOW|MODEL|OPS|SCORE|SHADOW|SCORER|DATABASE|BUNDLE|INSTANCE|LOG)_[A-Z0-9_]*[A-Z0-9]\b`)

// others look like ours, and are read by something else.
var others = map[string]string{"MLFLOW_DIR": "deploy/backup/backup.sh", "KAFKA_ADMIN_CONFIG": "deploy/backup/backup.sh", "KAFKA_BIN": "deploy/backup/backup.sh"}

func variableFaults(w *world) (faults []string) {
	for name, p := range w.pages {
		for _, code := range append(slices.Clone(p.spans), p.fenced...) {
			for _, variable := range ours.FindAllString(code, -1) {
				if !w.variables[variable] && others[variable] == "" {
					faults = append(faults, fmt.Sprintf("%s has %q: the program does not read %s", name, code, variable))
				}
			}
		}
	}
	return faults
}
