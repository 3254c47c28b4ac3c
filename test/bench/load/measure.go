package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/mlmonitor/mlmonitor/audit"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/test/bench/kit"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

// patience is how long verdicts and rows are waited for after the last transaction; what has not come by then is lost.
const patience = 30 * time.Second

// service is the three roles, on servers of their own.
type service struct {
	topics   kafka.Config
	postgres *rig.Server
	url      string // of the API
	scoreOps int
	auditOps int
	roles    []*kit.Process
}

func start(ctx context.Context, r *kit.Run, s *settings) (*service, error) {
	binary, err := r.Build(ctx)
	if err != nil {
		return nil, err
	}
	r.Logf("starting Kafka and Postgres")
	v := &service{postgres: rig.PrivatePostgres(r)}
	v.topics = kafka.Config{Brokers: rig.PrivateKafka(r, 1).Brokers, Transactions: "transactions", Verdicts: "verdicts", DeadLetters: "transactions.dlq", Replies: "verdicts.replies", Models: "mlmonitor.models", Compression: "snappy"}
	if _, err := audit.Migrate(ctx, audit.Config{DatabaseURL: kafka.Secret(v.postgres.OwnerURL), WriterRole: "audit", ReaderRole: "reader", PartitionsAhead: 14}); err != nil {
		return nil, err
	}
	if _, err := kafka.LayOut(ctx, &v.topics, kafka.Layout{Partitions: 6, Replication: -1}, false); err != nil {
		return nil, err
	}
	var ports [4]int
	for i := range ports {
		if ports[i], err = kit.Port(); err != nil {
			return nil, err
		}
	}
	v.scoreOps, v.auditOps, v.url = ports[0], ports[1], fmt.Sprintf("http://127.0.0.1:%d/predict", ports[3])
	env := append(kit.Environment(&v.topics, "load", "load"), "BUNDLE_DIR="+s.bundle)
	for _, role := range []struct {
		name string
		ops  int
		env  []string
	}{
		{"score", ports[0], nil},
		{"audit", ports[1], []string{"DATABASE_URL=" + v.postgres.WriterURL}},
		{"api", ports[2], []string{"API_AUTH=off", fmt.Sprintf("API_PORT=%d", ports[3]), "API_CLIENT_RATE=1000000", "API_DATABASE_URL=" + v.postgres.ReaderURL}},
	} {
		p, err := kit.Start(append(slices.Concat(env, role.env), fmt.Sprintf("OPS_PORT=%d", role.ops)), binary, role.name)
		if err != nil {
			return nil, err
		}
		r.Cleanup(p.Kill)
		v.roles = append(v.roles, p)
	}
	return v, nil
}

// tally is which transactions have a verdict. The stream's have the first numbers, those over HTTP the ones from first on.
type tally struct {
	first    int64
	verdicts map[int64]int64
	stream   atomic.Int64 // transactions with a verdict
	http     atomic.Int64
	last     time.Time // when the last came
}

func (t *tally) see(n int64, now time.Time) {
	if t.verdicts[n]++; t.verdicts[n] == 1 {
		if n < t.first {
			t.stream.Add(1)
		} else {
			t.http.Add(1)
		}
	}
	t.last = now
}

func measure(ctx context.Context, r *kit.Run, s *settings) (*figures, error) {
	v, err := start(ctx, r, s)
	if err != nil {
		return nil, err
	}
	// None comes twice: the stream does not get as far as where HTTP begins.
	t := &tally{first: int64(s.stream * (s.warm + s.length + time.Minute).Seconds()), verdicts: map[int64]int64{}}
	stream, err := producer.NewSimulator(producer.DefaultSimulator(1, 0, 0))
	if err != nil {
		return nil, err
	}
	sim, err := producer.NewSimulator(producer.DefaultSimulator(1, uint64(t.first), 0))
	if err != nil {
		return nil, err
	}
	events := func(n int) [][]byte {
		some := make([][]byte, n)
		for i := range some {
			some[i] = bytes.Clone(sim.Next(nil).Value)
		}
		return some
	}
	early, counted := events(int(s.http*s.warm.Seconds())), events(int(s.http*s.length.Seconds()))
	if err := kit.AwaitAnswer(ctx, v.url, early[0]); err != nil {
		return nil, fmt.Errorf("the API: %w", err)
	}
	r.Logf("%g/s on the topic and %g/s over HTTP, %v after %v", s.stream, s.http, s.length, s.warm)
	f := &figures{}
	pace := kit.Pace{Start: time.Now(), Rate: s.stream}
	from := pace.Start.Add(s.warm)
	until := from.Add(s.length)
	var sent, answered, deadline atomic.Int64 // deadline: Unix nanoseconds, once all is sent
	group, both := errgroup.WithContext(ctx)
	publishing, following := errgroup.WithContext(both)
	publishing.Go(func() (err error) {
		f.sent, err = kit.Publish(following, &v.topics, stream, pace, func(now time.Time) (bool, error) { return now.After(until), v.ended() })
		sent.Store(f.sent)
		return err
	})
	publishing.Go(func() error {
		for _, some := range [][][]byte{early[1:], counted} {
			asked := kit.Ask(following, v.url, s.http, 0, some)
			answered.Add(int64(len(asked.Late)))
			for why, n := range asked.Why {
				r.Logf("%d of %d requests failed: %s", n, len(some), why)
			}
			f.http, f.asked, f.failed = asked.Late, int64(len(some)), asked.Failed // in the end those that count
		}
		return nil
	})
	publishing.Go(func() error { return v.watchAudit(following, until, f) })
	group.Go(func() error {
		err := publishing.Wait()
		deadline.Store(time.Now().Add(patience).UnixNano())
		return err
	})
	group.Go(func() error {
		return kit.Follow(both, &v.topics, func(n int64, now time.Time) error {
			t.see(n, now)
			if due := pace.Due(n); n < t.first && due.After(from) && due.Before(until) {
				f.stream = append(f.stream, kit.Milliseconds(now.Sub(due)))
			}
			return nil
		}, func() bool {
			at := deadline.Load()
			return at > 0 && (time.Now().UnixNano() > at || t.stream.Load() >= sent.Load() && t.http.Load() > answered.Load()) // and the first, which was waited for
		})
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	slices.Sort(f.stream)
	f.lost = max(0, f.sent-t.stream.Load()) + max(0, answered.Load()+1-t.http.Load())
	for _, n := range t.verdicts {
		f.verdicts += n
		f.doubled += n - 1
	}
	if err := v.rows(ctx, t.last, f); err != nil {
		return nil, err
	}
	samples, err := kit.Metrics(ctx, v.scoreOps)
	if err != nil {
		return nil, err
	}
	f.deadLetters, f.passed = int64(sum(samples, "mlmonitor_dead_letters_total")), passRate(samples)
	for _, p := range slices.Backward(v.roles) {
		if err := p.Stop(); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// ended says which role has ended by itself.
func (v *service) ended() error {
	for i, name := range []string{"score", "audit", "api"} {
		select {
		case <-v.roles[i].Ended():
			return errors.New(name + " ended by itself")
		default:
		}
	}
	return nil
}

// watchAudit takes the most that the audit was behind until then, by its own metric, twice a second.
func (v *service) watchAudit(ctx context.Context, until time.Time, f *figures) error {
	for time.Now().Before(until) {
		samples, err := kit.Metrics(ctx, v.auditOps)
		if err != nil {
			return err
		}
		f.behind = max(f.behind, time.Duration(most(samples, "mlmonitor_audit_lag_seconds")*float64(time.Second)))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
	return nil
}

// rows waits until every verdict has its row, or for as long as it has patience, and counts.
func (v *service) rows(ctx context.Context, last time.Time, f *figures) error {
	conn, err := pgx.Connect(ctx, v.postgres.ReaderURL)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for f.tail = 0; f.tail < patience; f.tail = time.Since(last) {
		if err := conn.QueryRow(ctx, `SELECT count(*), count(DISTINCT (source_partition, source_offset)) FROM verdicts`).Scan(&f.rows, &f.sources); err != nil {
			return err
		}
		if f.rows >= f.verdicts {
			f.tail = time.Since(last)
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil
}
