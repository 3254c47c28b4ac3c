package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/mlmonitor/mlmonitor/consumer"
	"github.com/mlmonitor/mlmonitor/test/bench/kit"
)

// lag of audit beside a scorer that has all transactions before it.
type lag struct {
	Scored float64 `json:"verdicts_per_second"`
	Most   int64   `json:"most_rows_behind"`
	Tail   float64 `json:"seconds_from_last_verdict_to_last_row"`
}

// audit has the role write the whole topic into an empty database, and measures from the first rows that are seen to the last.
func (b *bench) audit(ctx context.Context, group string, with setting) (f figures, err error) {
	if err := b.empty(ctx); err != nil {
		return f, err
	}
	process, err := b.start(group, "writer-1", with)
	if err != nil {
		return f, err
	}
	for n := 2; n <= with.writers; n++ {
		other, startErr := b.start(group, fmt.Sprintf("writer-%d", n), with)
		if startErr != nil {
			return f, errors.Join(startErr, process.Stop())
		}
		defer func() { err = errors.Join(err, other.Stop()) }()
	}
	var began time.Time
	var first int64
	var cpu time.Duration
	err = b.watch(ctx, process, func(rows int64) (bool, error) {
		if rows == 0 {
			return false, nil
		}
		now, err := kit.CPU(process.PID())
		if err != nil {
			return false, err
		}
		if began.IsZero() {
			began, first, cpu = time.Now(), rows, now
		}
		if rows < b.n {
			return false, nil
		}
		done := float64(rows - first)
		f.Rows, f.CPU = done/time.Since(began).Seconds(), (now-cpu).Seconds()/done*1e6
		f.MiB, err = kit.PeakMiB(process.PID())
		return true, err
	})
	return f, errors.Join(err, process.Stop(), b.verify(ctx))
}

func (b *bench) start(group, instance string, with setting) (*kit.Process, error) {
	port, err := kit.Port() // there may be several
	if err != nil {
		return nil, err
	}
	env := append(kit.Environment(&b.topics, "unused", instance), "DATABASE_URL="+b.postgres.WriterURL+with.url, "AUDIT_GROUP="+group, fmt.Sprintf("OPS_PORT=%d", port))
	return kit.Start(append(env, with.env...), b.binary, "audit")
}

// watch calls see with the number of verdicts that are written, until it says that it has seen enough. It asks the offsets, not the table: that is cheap. The
// markers of Kafka transactions have offsets too: the table itself is asked only when the last verdicts may be written.
func (b *bench) watch(ctx context.Context, process *kit.Process, see func(rows int64) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, b.postgres.AdminURL)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-process.Ended():
			return errors.New("the program ended by itself")
		case <-time.After(10 * time.Millisecond):
		}
		var rows int64
		if err := conn.QueryRow(ctx, `SELECT coalesce(sum(next_offset), 0) FROM audit_offsets`).Scan(&rows); err != nil {
			return err
		}
		if rows < b.last {
			rows = min(rows, b.n-1)
		} else if rows >= b.n {
			if err := conn.QueryRow(ctx, `SELECT count(*) FROM verdicts`).Scan(&rows); err != nil {
				return err
			}
		}
		if enough, err := see(rows); enough || err != nil {
			return err
		}
	}
}

// beside runs audit and a scorer that has the whole input before it, and takes the lag between their progress.
func (b *bench) beside(ctx context.Context) (l lag, err error) {
	if err := b.empty(ctx); err != nil {
		return l, err
	}
	writer, err := b.start("beside", "beside", setting{})
	if err != nil {
		return l, err
	}
	scorer, err := kit.Start(append(kit.Environment(&b.topics, "score", "beside"), "BUNDLE_DIR="+b.bundle, "SCORE_MEMBERS=1"), b.binary, "score")
	if err != nil {
		return l, errors.Join(err, writer.Stop())
	}
	var scored atomic.Int64
	group, ctx2 := errgroup.WithContext(ctx)
	var ended time.Time
	group.Go(func() error {
		began, err := time.Time{}, error(nil)
		for scored.Load() < b.n {
			behind, lagErr := consumer.Lag(ctx2, &b.topics, "score")
			if lagErr == nil {
				scored.Store(b.n - behind)
			}
			if began.IsZero() && scored.Load() > 0 {
				began = time.Now()
			}
			select {
			case <-ctx2.Done():
				return ctx2.Err()
			case <-scorer.Ended():
				return errors.New("the scorer ended by itself")
			case <-time.After(50 * time.Millisecond):
			}
		}
		ended = time.Now()
		l.Scored = float64(b.n) / ended.Sub(began).Seconds()
		return err
	})
	group.Go(func() error {
		return b.watch(ctx2, writer, func(rows int64) (bool, error) {
			l.Most = max(l.Most, scored.Load()-rows)
			return rows >= b.n, nil
		})
	})
	err = group.Wait()
	l.Tail = time.Since(ended).Seconds()
	if err := errors.Join(err, scorer.Stop(), writer.Stop(), b.verify(ctx)); err != nil {
		return l, fmt.Errorf("%d of %d scored: %w", scored.Load(), b.n, err)
	}
	return l, nil
}
