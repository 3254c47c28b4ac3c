package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cli/browser"
	"github.com/spf13/cobra"

	"github.com/mlmonitor/mlmonitor/api"
	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/audit"
	"github.com/mlmonitor/mlmonitor/consumer"
	"github.com/mlmonitor/mlmonitor/schemas"
)

// demoDir is where the demo keeps its data unless told.
const demoDir = "mlmonitor-demo"

func demoCommand() *cobra.Command {
	var dc app.DemoConfig
	var asJSON, open bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run everything in one process: broker, simulator, scorer, audit, page",
		Long: `Simulates card transactions, scores them with the sample bundle and audits the verdicts, on an embedded broker and SQLite; nothing needs to be
installed. Its page is at http://127.0.0.1:8000. A few events are malformed, to show the dead-letter topic. At the end it reads its topics and its database and proves that each
transaction has exactly one answer and each verdict one audit row; it exits 1 if not. A second run on the same directory continues.`,
		Example: "  mlmonitor demo --for 20s",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var cfg app.Config
			var c consumer.Config
			var a audit.Config
			var web api.Config
			if err := app.LoadDemo(&cfg, &c, &a, &web); err != nil {
				return err
			}
			if err := dc.Validate(); err != nil {
				return err
			}
			if err := os.MkdirAll(dc.Dir, 0o700); err != nil {
				return err
			}
			logs, err := os.OpenFile(filepath.Join(dc.Dir, "demo.log"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
			if err != nil {
				return err
			}
			defer logs.Close()
			web.Program = app.Program.Version
			screen := newScreen(cmd.ErrOrStderr(), dc)
			screen.open = open
			summary, err := app.Demo(cmd.Context(), app.Logger(logs, &cfg, "demo"), &cfg, dc, c, a, web, screen.show)
			if err != nil {
				return fmt.Errorf("%w (the log is %s)", err, logs.Name())
			}
			if asJSON {
				err = printJSON(cmd, summary)
			} else {
				err = printSummary(cmd.OutOrStdout(), dc, summary)
			}
			if err == nil && !summary.ExactlyOnce {
				return errFound
			}
			return err
		},
	}
	cmd.Flags().StringVar(&dc.Dir, "dir", demoDir, "data directory: broker, audit database, log")
	cmd.Flags().Float64Var(&dc.Rate, "rate", 2000, "transactions a second")
	cmd.Flags().DurationVar(&dc.For, "for", 0, "stop after this time; 0 runs until ^C")
	cmd.Flags().Float64Var(&dc.Malformed, "malformed", 0.002, "share of malformed events, 0 to 1")
	cmd.Flags().Uint64Var(&dc.Seed, "seed", 1, "seed of the simulation")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the summary as JSON")
	cmd.Flags().BoolVar(&open, "open", false, "open the page in a browser")
	return cmd
}

// screen shows the figures: on a terminal one block that is drawn anew, elsewhere a log line every ten seconds.
type screen struct {
	w        io.Writer
	dir      string
	terminal bool
	open     bool // the page, once
	lines    int  // drawn before
	last     app.Snapshot
	log      *slog.Logger
	ticks    int
}

func newScreen(w io.Writer, dc app.DemoConfig) *screen {
	return &screen{w: w, dir: dc.Dir, terminal: isTerminal(w), log: slog.New(slog.NewTextHandler(w, nil))}
}

func (s *screen) show(now app.Snapshot) {
	defer func() { s.last = now }()
	if s.open {
		s.open = false
		openBrowser(now.Page)
	}
	seconds := (now.Elapsed - s.last.Elapsed).Seconds()
	rate := func(now, before int64) float64 { return float64(now-before) / seconds }
	if !s.terminal {
		if s.ticks++; s.ticks%10 == 0 {
			s.log.Info("demo", "page", now.Page, "transactions", now.Transactions, "verdicts", sum(now.Decisions), "dead_letters", now.DeadLetters, "audit_rows", now.AuditRows,
				"p50", now.P50.Round(time.Microsecond).String(), "p99", now.P99.Round(time.Microsecond).String())
		}
		return
	}
	verdicts := sum(now.Decisions)
	var b strings.Builder
	if s.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\x1b[J", s.lines)
	}
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-14s"+format+"\n", append([]any{name}, args...)...)
	}
	fmt.Fprintf(&b, "\x1b[1mML-Monitor demo\x1b[0m  bundle %s %s (%.15s…)  %v\n\n", now.Bundle.Name, now.Bundle.Version, now.Bundle.Digest, now.Elapsed.Round(time.Second))
	row("transactions", "%10d   %8.0f/s", now.Transactions, rate(now.Transactions, s.last.Transactions))
	row("verdicts", "%10d   %8.0f/s   %s", verdicts, rate(verdicts, sum(s.last.Decisions)), shares(now.Decisions))
	row("dead letters", "%10d", now.DeadLetters)
	row("audit rows", "%10d   %8.0f/s", now.AuditRows, rate(now.AuditRows, s.last.AuditRows))
	row("latency", "p50 %v   p99 %v   from produce to a committed verdict", now.P50.Round(100*time.Microsecond), now.P99.Round(100*time.Microsecond))
	fmt.Fprintf(&b, "\n  page %s/   metrics %s/metrics   data and log in %s   ^C stops\n", now.Page, now.Ops, s.dir)
	s.lines = strings.Count(b.String(), "\n")
	io.WriteString(s.w, b.String())
}

// openBrowser shows the page where there is a browser; without one, the address stands on the screen.
func openBrowser(url string) {
	browser.Stdout, browser.Stderr = io.Discard, io.Discard
	_ = browser.OpenURL(url + "/") // there is none: nothing is lost
}

func sum(m map[schemas.Decision]int64) (n int64) {
	for _, v := range m {
		n += v
	}
	return n
}

func shares(m map[schemas.Decision]int64) string {
	total := max(1, sum(m))
	var parts []string
	for _, d := range []schemas.Decision{schemas.Approve, schemas.Review, schemas.Decline} {
		parts = append(parts, fmt.Sprintf("%s %.2f %%", d, 100*float64(m[d])/float64(total)))
	}
	return strings.Join(parts, "   ")
}

func printSummary(w io.Writer, dc app.DemoConfig, s app.Summary) error {
	verdict := func(ok bool) string {
		if ok {
			return "yes"
		}
		return "NO"
	}
	_, err := fmt.Fprintf(w, `
All runs on %s:
  transactions   %10d
  verdicts       %10d   %s
  dead letters   %10d
  audit rows     %10d
  latency of this run: p50 %.1f ms, p99 %.1f ms
  transactions = verdicts + dead letters, each answered once: %s
  verdicts = audit rows: %s
`, dc.Dir, s.Transactions, s.Verdicts, shares(s.Decisions), s.DeadLetters, s.AuditRows, s.Latency.P50, s.Latency.P99,
		verdict(s.AnsweredOnce), verdict(s.Verdicts == s.AuditRows))
	return err
}
