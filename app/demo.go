package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mlmonitor/mlmonitor/api"
	"github.com/mlmonitor/mlmonitor/audit"
	"github.com/mlmonitor/mlmonitor/consumer"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/schemas"
)

// DemoConfig says where the demo keeps its data, and what it simulates.
type DemoConfig struct {
	Dir       string        // broker's log and audit database; made when missing
	Rate      float64       // transactions a second
	For       time.Duration // 0: until ctx ends
	Malformed float64       // share of malformed events
	Seed      uint64
}

// Validate names the flag that is wrong.
func (c DemoConfig) Validate() error {
	switch {
	case c.Dir == "":
		return errors.New("--dir is empty: name the data directory")
	case !(c.Rate > 0 && c.Rate <= 1e6):
		return fmt.Errorf("--rate is %v: set it above 0, and to 1000000 at most", c.Rate)
	case !(c.Malformed >= 0 && c.Malformed <= 1):
		return fmt.Errorf("--malformed is %v: set it to 0 … 1", c.Malformed)
	case c.For < 0:
		return fmt.Errorf("--for is %v: set it to 0 or more", c.For)
	}
	return nil
}

// Snapshot is what the demo shows while it runs. Counts are of this run.
type Snapshot struct {
	Elapsed      time.Duration
	Page         string // URL
	Ops          string // URL of the operations pages
	Bundle       schemas.BundleID
	Transactions int64
	Decisions    map[schemas.Decision]int64
	DeadLetters  int64
	AuditRows    int64
	P50, P99     time.Duration // produce to a read_committed reader
}

// Summary is what the demo found on its topics and in its database at the end, over all runs on the same directory.
type Summary struct {
	Transactions int64                      `json:"transactions"`
	Verdicts     int64                      `json:"verdicts"`
	DeadLetters  int64                      `json:"dead_letters"`
	AuditRows    int64                      `json:"audit_rows"`
	Decisions    map[schemas.Decision]int64 `json:"decisions"`
	Latency      struct {
		P50 float64 `json:"p50"`
		P99 float64 `json:"p99"`
	} `json:"latency_ms"` // of this run, produce to a read_committed reader
	AnsweredOnce bool `json:"-"` // each transaction has one verdict or one dead letter
	ExactlyOnce  bool `json:"exactly_once"`
}

// answerTimeout bounds the wait, after the last transaction, for its verdict.
const answerTimeout = time.Minute

// settleTimeout bounds the wait, after the last verdict, for its audit row.
var settleTimeout = time.Minute

// demo is the state of one run.
type demo struct {
	cfg          DemoConfig
	topics       kafka.Config
	group        string // of the scorer
	store        audit.Store
	found        Reconciliation // at the end
	rows         int64          // at the end
	bundle       schemas.BundleID
	ops          *opsServer
	web          *apiRole
	start        time.Time
	rowsBefore   int64
	transactions atomic.Int64
	decisions    [3]atomic.Int64 // approve, review, decline
	deadLetters  atomic.Int64
	latencies    api.Latencies
}

var decisions = [3]schemas.Decision{schemas.Approve, schemas.Review, schemas.Decline}

// Demo runs broker, simulator, scorer and audit in this process, shows a snapshot each second, and proves at the end that each transaction
// has one answer and each verdict one audit row.
func Demo(ctx context.Context, log *slog.Logger, cfg *Config, dc DemoConfig, c consumer.Config, a audit.Config, web api.Config, show func(Snapshot)) (Summary, error) {
	unlock, err := lockDir(dc.Dir)
	if err != nil {
		return Summary{}, err
	}
	defer unlock()
	if err := checkRoom(dc.Dir, roomToStart); err != nil {
		return Summary{}, err
	}
	broker, err := kafka.StartEmbedded(filepath.Join(dc.Dir, "broker"))
	if err != nil {
		return Summary{}, err
	}
	defer broker.Close()
	d := &demo{cfg: dc, group: c.Group, start: time.Now()}
	d.topics = kafka.Config{Brokers: broker.Brokers(), Transactions: "transactions", Verdicts: "verdicts", DeadLetters: "transactions.dlq", Shadow: "verdicts.shadow", Replies: "verdicts.replies", Models: "mlmonitor.models"}
	if _, err := kafka.LayOut(ctx, &d.topics, kafka.Layout{Partitions: 6, Replication: -1}, false); err != nil {
		return Summary{}, err
	}
	a.DatabaseURL = kafka.Secret("sqlite:" + filepath.Join(dc.Dir, "audit.db"))
	if _, err := audit.Migrate(ctx, a); err != nil {
		return Summary{}, err
	}
	if d.store, err = audit.Open(ctx, a); err != nil {
		return Summary{}, err
	}
	defer d.store.Close()
	if d.rowsBefore, err = d.store.Count(ctx); err != nil {
		return Summary{}, err
	}
	if err := d.listen(cfg, log); err != nil {
		return Summary{}, err
	}
	bundle, err := OpenBundle(&ScorerConfig{BundleDir: "sample"})
	if err != nil {
		return Summary{}, err
	}
	d.bundle = bundle.ID
	models := consumer.NewModels(bundle, "the demo's")
	score := consumer.New(c, &d.topics, models, log, d.ops.Registry)
	writer, err := audit.New(a, &d.topics, d.store, log, d.ops.Registry)
	if err != nil {
		return Summary{}, err
	}
	web.DatabaseURL = a.DatabaseURL
	if err := d.openPage(ctx, log, web, models); err != nil {
		return Summary{}, err
	}
	ctx, full := context.WithCancelCause(ctx)
	defer full(nil)
	if err := d.run(ctx, full, score, writer, show); err != nil {
		return Summary{}, err
	}
	if why := context.Cause(ctx); errors.Is(why, errDiskFull) {
		return d.summary(), why
	}
	return d.summary(), nil
}

// listen takes a free port where the usual one is taken and none was asked for: two demos may run side by side.
func (d *demo) listen(cfg *Config, log *slog.Logger) error {
	port := cfg.OpsPort
	if port == 0 {
		port = demoPort
	}
	var err error
	if d.ops, err = newOpsServer(cfg, port, log); errors.Is(err, syscall.EADDRINUSE) && cfg.OpsPort == 0 {
		d.ops, err = newOpsServer(cfg, 0, log)
	}
	return err
}

// openPage makes the HTTP API and its page, on a free port where the usual one is taken and none was asked for.
func (d *demo) openPage(ctx context.Context, log *slog.Logger, cfg api.Config, models *consumer.Models) error {
	asker, err := producer.NewAsker(ctx, &d.topics, "demo", cfg.MaxInFlight, log, d.ops.Registry)
	if err != nil {
		return err
	}
	d.web, err = newAPIRole(ctx, log, cfg, &d.topics, d.group, asker, nil, models, d.ops.Registry)
	if err != nil {
		return err
	}
	if err = d.web.Listen(); errors.Is(err, syscall.EADDRINUSE) && cfg.Port == api.DefaultPort {
		d.web.AnyPort()
		err = d.web.Listen()
	}
	return err
}

// run produces until the time is over or the disk is nearly full, and lets scorer and audit finish what is there.
func (d *demo) run(ctx context.Context, full func(error), score, writer role, show func(Snapshot)) error {
	group, roles := errgroup.WithContext(context.WithoutCancel(ctx))
	roles, stop := context.WithCancel(roles)
	defer stop()
	group.Go(func() error {
		return d.ops.Serve(roles, func(ctx context.Context) error { return errors.Join(score.Ready(ctx), writer.Ready(ctx)) })
	})
	group.Go(func() error { return score.Run(roles) })
	group.Go(func() error { return d.web.Run(roles) })
	group.Go(func() error { return writer.Run(roles) })
	group.Go(func() error { return d.watch(roles) })
	group.Go(func() error { return d.watchDeadLetters(roles) })
	group.Go(func() error {
		watchRoom(roles, d.cfg.Dir, full)
		return nil
	})
	group.Go(func() error {
		defer stop()
		return d.feed(ctx, roles)
	})
	group.Go(func() error {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-roles.Done():
				return nil
			case <-tick.C:
				s, err := d.snapshot(roles)
				if err != nil {
					return err
				}
				show(s)
			}
		}
	})
	return group.Wait()
}

// feed produces, then waits for the last audit row. It continues the numbers of the run before.
func (d *demo) feed(ctx, roles context.Context) error {
	there, err := kafka.Whole(roles, &d.topics, d.topics.Transactions)
	if err != nil {
		return err
	}
	first := uint64(0)
	for _, to := range there.To {
		first += uint64(to)
	}
	produce, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(roles, cancel)()
	_, err = producer.Produce(produce, &d.topics, producer.ProduceConfig{
		Simulator: producer.DefaultSimulator(d.cfg.Seed, first, d.cfg.Malformed),
		For:       d.cfg.For, Rate: d.cfg.Rate,
	}, func() { d.transactions.Add(1) })
	if err != nil {
		return err
	}
	return d.settle(roles)
}

// settle waits until every transaction is answered and every verdict is in the database, and takes stock.
func (d *demo) settle(ctx context.Context) error {
	wait, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	if err := until(wait, func() (bool, error) {
		lag, err := consumer.Lag(wait, &d.topics, d.group)
		return lag == 0, err
	}); err != nil {
		return fmt.Errorf("wait for the last verdict: %w", err)
	}
	var err error
	if d.found, err = Reconcile(ctx, &d.topics); err != nil {
		return err
	}
	rows, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	return d.countRows(ctx, rows)
}

// countRows counts until there is a row for each verdict, or wait ends: then the summary says, by the last count, how many are missing.
func (d *demo) countRows(ctx, wait context.Context) error {
	err := until(wait, func() (bool, error) {
		rows, err := d.store.Count(ctx) // not of wait, whose end would cut it off
		if err == nil {
			d.rows = rows
		}
		return d.rows >= d.found.Verdicts, err
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// until asks again and again, with a short pause, until done or ctx ends.
func until(ctx context.Context, done func() (bool, error)) error {
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (d *demo) summary() Summary {
	s := Summary{Transactions: d.found.Transactions, Verdicts: d.found.Verdicts, DeadLetters: d.found.DeadLetters, AuditRows: d.rows, Decisions: d.found.Decisions}
	s.Latency.P50, s.Latency.P99 = milliseconds(d.latencies.Quantile(0.5)), milliseconds(d.latencies.Quantile(0.99))
	s.AnsweredOnce = d.found.Exact()
	s.ExactlyOnce = s.AnsweredOnce && d.rows == d.found.Verdicts
	return s
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// watch counts what a read_committed reader of the outputs sees, and when.
func (d *demo) watch(ctx context.Context) error {
	return kafka.Follow(ctx, &d.topics, d.topics.Verdicts, func(r *kafka.Record) {
		d.latencies.Add(time.Since(r.Timestamp))
		if v, err := schemas.ParseVerdict(r.Value); err == nil { // what is not a verdict shows in the summary
			d.decisions[slices.Index(decisions[:], v.Decision)].Add(1)
		}
	})
}

func (d *demo) watchDeadLetters(ctx context.Context) error {
	return kafka.Follow(ctx, &d.topics, d.topics.DeadLetters, func(*kafka.Record) { d.deadLetters.Add(1) })
}

func (d *demo) snapshot(ctx context.Context) (Snapshot, error) {
	rows, err := d.store.Count(ctx)
	if err != nil && ctx.Err() == nil {
		return Snapshot{}, err
	}
	s := Snapshot{Elapsed: time.Since(d.start), Page: d.web.URL(), Ops: d.ops.URL(), Bundle: d.bundle, Transactions: d.transactions.Load(), Decisions: map[schemas.Decision]int64{},
		DeadLetters: d.deadLetters.Load(), AuditRows: rows - d.rowsBefore, P50: d.latencies.Quantile(0.5), P99: d.latencies.Quantile(0.99)}
	for i, decision := range decisions {
		s.Decisions[decision] = d.decisions[i].Load()
	}
	return s, nil
}

func lockDir(dir string) (func(), error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another demo uses %s, name another --dir: %w", dir, err)
	}
	return func() { f.Close() }, nil
}
