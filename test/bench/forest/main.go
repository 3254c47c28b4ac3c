// Command forest compares the scorer's tree engine with others, on models that LightGBM trained: nanoseconds of one thread's CPU time for each
// row, at several batch sizes. Each of the rounds measures every engine at every batch size in turn, and medians are printed; other work on the
// machine does not count as time, though it may take from the caches. An engine of ours whose margins are not LightGBM's to the bit fails the run.
//
//	make bench-forest [PEERS=all|none|lightgbm,ydf] [ROUNDS=5]
//
// It runs from the root of the repository, on what the Makefile made there.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if len(os.Args) == 3 && os.Args[1] == "load" {
		var l loaded
		if l, err = loadOnce(os.Args[2]); err == nil {
			err = json.NewEncoder(os.Stdout).Encode(l)
		}
	} else {
		err = bench(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-forest:", err)
		stop()
		os.Exit(1)
	}
}

func bench(ctx context.Context) error {
	list := flag.String("peers", "all", "all, none, or some of "+names(peers))
	shapes := flag.String("shapes", "100x31,500x63,1000x255", "models, as trees x leaves")
	rounds := flag.Int("rounds", 5, "rounds; the medians are printed")
	path := flag.String("json", filepath.Join(cache, "results.json"), "file for all figures")
	flag.Parse()
	if *rounds < 1 {
		return fmt.Errorf("-rounds %d: there must be one or more", *rounds)
	}
	some, err := selected(*list)
	if err != nil {
		return err
	}
	rows, err := readFloats(filepath.Join(cache, "rows.f64"))
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: run it as make bench-forest", err)
	}
	if err != nil {
		return err
	}
	r := &report{CPU: processor(), Go: runtime.Version(), Rounds: *rounds}
	failed := installAll(ctx, some)
	for shape := range strings.SplitSeq(*shapes, ",") {
		m, err := compare(ctx, shape, rows, some, failed, *rounds)
		if err != nil {
			return fmt.Errorf("model %s: %w", shape, err)
		}
		r.Rows = len(rows) / m.features
		r.Models = append(r.Models, m.modelReport)
		fmt.Println(m.table())
	}
	last := r.Models[len(r.Models)-1]
	if r.Load, err = loads(ctx, last.Shape, filepath.Join(cache, last.Shape+".txt"), last.Bytes, 5); err != nil {
		return err
	}
	if left := len(peers) - len(some); left > 0 {
		fmt.Printf("%d of %d peers were left out: %s was asked for\n", left, len(peers), *list)
	}
	fmt.Printf("%s, %s, one thread, medians of %d rounds\n", r.CPU, r.Go, r.Rounds)
	r.Means = means(r.Models)
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(*path, append(text, '\n'), 0o644); err != nil {
		return err
	}
	fmt.Print(summary(r))
	return nil
}

// installAll installs peers, and gives the errors of those that cannot be, by name.
func installAll(ctx context.Context, some []peer) map[string]error {
	failed := map[string]error{}
	for _, p := range some {
		if err := p.install(ctx); err != nil {
			failed[p.name] = err
		}
	}
	return failed
}

// processor is the name of the machine's, as Linux tells it.
func processor() string {
	data, _ := os.ReadFile("/proc/cpuinfo")
	for line := range bytes.Lines(data) {
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && string(bytes.TrimSpace(name)) == "model name" {
			return string(bytes.TrimSpace(value))
		}
	}
	return runtime.GOARCH
}
