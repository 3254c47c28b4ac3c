package torture

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/test/rig"
	"github.com/mlmonitor/mlmonitor/test/torture/wire"
)

// Times that the roles run with. The sessions and the broker's are the defaults of the product and of test/stack.
const (
	memberSession = 6 * time.Second
	txnTimeout    = 4 * time.Second
	brokerSession = 6 * time.Second
)

const (
	nodes      = 3
	partitions = 6
	scorers    = 3
	writers    = 2
)

// World is everything that runs.
type World struct {
	binary  string
	dir     string // of logs
	seed    uint64
	rate    float64
	wait    time.Duration // for what must settle
	log     func(format string, args ...any)
	ledger  *Ledger
	witness *witness

	kafka    *rig.Cluster
	brokers  map[string][]string     // addresses of a link
	links    map[string][]*wire.Link // to each node, by link; those to Postgres under "POSTGRES"
	postgres *rig.Server
	ballast  string // file that fills the disk of Postgres; "" when that has no disk of its own
	topics   kafka.Config

	swapped *swapped // the bundles that take turns

	scorers []*Process
	writers []*Process
	feeder  *Process

	round      atomic.Int64 // which began last
	hanging    atomic.Int64 // transactions that Kafka had forgotten
	unblocking sync.Mutex

	mu       sync.Mutex
	findings []Finding
	counts   map[string]int // findings by check
	retired  int            // scorers that are gone with their counters
}

// Finding is something that must not be.
type Finding struct {
	Check  string    `json:"check"`
	Round  int       `json:"round"`
	At     time.Time `json:"at"`
	Detail string    `json:"detail"`
}

// mostFindings are kept in full; all are counted.
const mostFindings = 200

// find takes note of a finding.
func (w *World) find(check, detail string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[check]++
	if len(w.findings) < mostFindings {
		w.findings = append(w.findings, Finding{check, int(w.round.Load()), time.Now(), detail})
		w.log("FOUND %s in round %d: %s", check, w.round.Load(), detail)
	}
}

// found counts findings.
func (w *World) found() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.counts {
		n += c
	}
	return n
}

// newWorld starts the servers, then the roles. All ends with t.
func newWorld(ctx context.Context, t rig.T, cfg *Config) (*World, error) {
	w := &World{binary: cfg.Binary, dir: cfg.Dir, seed: cfg.Seed, rate: cfg.Rate, wait: cfg.Wait, log: t.Logf, counts: map[string]int{}, links: map[string][]*wire.Link{},
		findings: []Finding{}, topics: kafka.Config{Transactions: "transactions", Verdicts: "verdicts", DeadLetters: "transactions.dlq", Models: "mlmonitor.models"}}
	if w.wait == 0 {
		w.wait = DefaultWait
	}
	w.ledger = NewLedger(w.find)
	names := []string{"FEEDER"}
	for i := range scorers {
		names = append(names, link("score", i))
	}
	for i := range writers {
		names = append(names, link("audit", i))
	}
	w.kafka, w.brokers = rig.LinkedKafka(t, nodes, names, w.via(t), fmt.Sprintf("broker.session.timeout.ms=%d", brokerSession.Milliseconds()),
		"num.network.threads=2", "num.io.threads=4", "min.insync.replicas=2", "group.min.session.timeout.ms=3000")
	w.topics.Brokers = w.kafka.Brokers
	t.Cleanup(w.keepLogs)
	if err := w.startPostgres(t); err != nil {
		return nil, err
	}
	env := []string{"KAFKA_BROKERS=" + strings.Join(w.kafka.Brokers, ","), "KAFKA_PARTITIONS=" + strconv.Itoa(partitions), "KAFKA_REPLICATION_FACTOR=" + strconv.Itoa(nodes)}
	if err := w.command(ctx, env, "topics"); err != nil {
		return nil, err
	}
	if err := w.command(ctx, []string{"DATABASE_URL=" + w.postgres.OwnerURL}, "migrate"); err != nil {
		return nil, err
	}
	var err error
	if w.swapped, err = newSwapped(filepath.Join(w.dir, "bundle")); err != nil {
		return nil, err
	}
	if w.witness, err = newWitness(ctx, &w.topics, w.ledger, w.swapped); err != nil {
		return nil, err
	}
	t.Cleanup(w.witness.close)
	return w, w.startRoles(t)
}

// link of a role's process with Kafka.
func link(role string, i int) string { return fmt.Sprintf("%s%d", strings.ToUpper(role), i+1) }

// via puts a proxy into the way to a node.
func (w *World) via(t rig.T) rig.Via {
	return func(name string, i, port int) (int, error) {
		l, err := wire.New(fmt.Sprintf("%s to node %d", name, i+1), 0, fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return 0, err
		}
		t.Cleanup(l.Close)
		w.links[name] = append(w.links[name], l)
		return l.Port(), nil
	}
}

// keepLogs of the nodes, whose directories go.
func (w *World) keepLogs() {
	for i := range nodes {
		for _, part := range []string{".before", ""} {
			if text, err := os.ReadFile(w.kafka.Log(i) + part); err == nil {
				if err := os.WriteFile(filepath.Join(w.dir, fmt.Sprintf("node-%d.log%s", i+1, part)), text, 0o600); err != nil {
					w.log("keep the log of a node: %v", err)
				}
			}
		}
	}
}

// startPostgres starts the database on a small disk of its own, where that may be mounted, behind a proxy for each writer.
func (w *World) startPostgres(t rig.T) error {
	disk, err := os.MkdirTemp("", "mlmonitor-torture")
	if err != nil {
		return err
	}
	t.Cleanup(func() { os.Remove(disk) })
	if err := os.Chmod(disk, 0o711); err != nil {
		return err
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=4g,mode=711", "torture", disk).CombinedOutput(); err != nil {
		w.log("Postgres gets no disk of its own, so that its disk cannot be full: %v: %s", err, strings.TrimSpace(string(out)))
	} else {
		w.ballast = filepath.Join(disk, "ballast")
		t.Cleanup(func() { exec.Command("umount", disk).Run() })
	}
	before := os.Getenv("TMPDIR")
	os.Setenv("TMPDIR", disk)
	w.postgres = rig.PrivatePostgres(t)
	os.Setenv("TMPDIR", before)
	u, err := url.Parse(w.postgres.WriterURL)
	if err != nil {
		return err
	}
	for i := range writers {
		l, err := wire.New(fmt.Sprintf("audit-%d to Postgres", i+1), 0, "127.0.0.1:"+u.Port())
		if err != nil {
			return err
		}
		t.Cleanup(l.Close)
		w.links["POSTGRES"] = append(w.links["POSTGRES"], l)
	}
	return nil
}

// startRoles starts the scorers, the audit writers and the feeder.
func (w *World) startRoles(t rig.T) error {
	for i := range scorers {
		p, err := w.newScorer(i, fmt.Sprintf("score-%d", i+1))
		if err != nil {
			return err
		}
		w.scorers = append(w.scorers, p)
	}
	for i := range writers {
		p, err := w.newWriter(i)
		if err != nil {
			return err
		}
		w.writers = append(w.writers, p)
	}
	feeder, err := w.process("feeder", "produce", false, []string{"KAFKA_BROKERS=" + strings.Join(w.brokers["FEEDER"], ",")},
		"--rate", fmt.Sprint(w.rate), "--seed", fmt.Sprint(w.seed), "--malformed", "0.003")
	if err != nil {
		return err
	}
	feeder.nextArgs = func(life int) []string { return []string{"--first", fmt.Sprint(uint64(life) * 200_000)} }
	w.feeder = feeder
	for _, p := range append(append(w.scorers[:scorers:scorers], w.writers...), w.feeder) {
		t.Cleanup(func() { p.Stop(false) })
		if err := p.Start(); err != nil {
			return err
		}
	}
	return nil
}

// newScorer makes a scorer that reaches Kafka by link i. The second runs two members.
func (w *World) newScorer(i int, instance string) (*Process, error) {
	members := "1"
	if i == 1 {
		members = "2"
	}
	return w.process(instance, "score", true, []string{"KAFKA_BROKERS=" + strings.Join(w.brokers[link("score", i)], ","), "BUNDLE_DIR=" + w.swapped.dir, "MODEL_POLL_INTERVAL=300ms", "SCORE_MEMBERS=" + members,
		"CONSUMER_SESSION_TIMEOUT=" + memberSession.String(), "CONSUMER_TXN_TIMEOUT=" + txnTimeout.String(), "CONSUMER_HALT_RETRY=500ms"})
}

func (w *World) newWriter(i int) (*Process, error) {
	u, err := url.Parse(w.postgres.WriterURL)
	if err != nil {
		return nil, err
	}
	u.Host = fmt.Sprintf("localhost:%d", w.links["POSTGRES"][i].Port())
	return w.process(fmt.Sprintf("audit-%d", i+1), "audit", true, []string{"KAFKA_BROKERS=" + strings.Join(w.brokers[link("audit", i)], ","), "DATABASE_URL=" + u.String(),
		"AUDIT_SESSION_TIMEOUT=" + memberSession.String()})
}

// process makes a role that is not started yet.
func (w *World) process(name, role string, pages bool, env []string, args ...string) (*Process, error) {
	p := &Process{Name: name, args: append([]string{w.binary, role}, args...), env: append(env, "INSTANCE_ID="+name), log: filepath.Join(w.dir, name+".log"),
		onExit: func(p *Process, how string) { w.find("exit", fmt.Sprintf("%s ended by itself: %s", p.Name, how)) }}
	if pages {
		ports, err := rig.FreePorts(1)
		if err != nil {
			return nil, err
		}
		p.port = ports[0]
		p.env = append(p.env, fmt.Sprintf("OPS_PORT=%d", p.port))
	}
	return p, nil
}

// command runs a command of the product to its end.
func (w *World) command(ctx context.Context, env []string, args ...string) error {
	cmd := exec.CommandContext(ctx, w.binary, args...)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mlmonitor %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// ready waits until every scorer and writer does its work.
func (w *World) ready(ctx context.Context) error {
	for _, p := range append(w.scorers[:len(w.scorers):len(w.scorers)], w.writers...) {
		if err := until(ctx, 3*time.Minute, func() error { return p.Ready(ctx) }); err != nil {
			return err
		}
	}
	return nil
}

// until tries until it succeeds, and gives the last error when that takes too long.
func until(ctx context.Context, limit time.Duration, try func() error) error {
	deadline := time.After(limit)
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-deadline:
			return fmt.Errorf("not within %v: %w", limit, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
