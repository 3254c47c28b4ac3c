package torture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
)

// postgresKinds hurt the database.
func postgresKinds() []kind {
	postgres := []string{"postgres"}
	pg := func(name string, do func(context.Context, *act) (string, error)) kind {
		return kind{name: name, weight: 1, targets: postgres, do: do}
	}
	kill := pg("pg-kill", func(ctx context.Context, a *act) (string, error) {
		return "all of its processes ended by SIGKILL", hold(ctx, a.between(0, 3*time.Second), a.postgres.Kill, a.postgres.Restart)
	})
	kill.kills = true
	return []kind{
		kill,
		pg("pg-restart", func(_ context.Context, a *act) (string, error) { return "stopped and started", a.postgres.Restart() }),
		pg("pg-freeze", func(ctx context.Context, a *act) (string, error) {
			return "all of its processes stopped", hold(ctx, a.between(500*time.Millisecond, 8*time.Second), a.postgres.Pause, a.postgres.Resume)
		}),
		pg("pg-read-only", readOnly),
		pg("pg-no-connections", noConnections),
		pg("pg-locked", locked),
		pg("pg-disk-full", diskFull),
	}
}

// statements runs them as the superuser, each on its own.
func (w *World) statements(ctx context.Context, all ...string) error {
	conn, err := w.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, s := range append([]string{"SET default_transaction_read_only = off"}, all...) {
		if _, err := conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// appendErrors of both writers.
func (w *World) appendErrors(ctx context.Context) (sum float64, err error) {
	for _, p := range w.writers {
		for _, name := range []string{"mlmonitor_audit_append_errors_total", "mlmonitor_audit_restarts_total"} {
			n, err := p.Counter(ctx, name)
			if err != nil {
				return 0, err
			}
			sum += n
		}
	}
	return sum, nil
}

// felt puts a fault in force until a writer has felt it, and some time more, then lifts it.
func (a *act) felt(ctx context.Context, begin, lift func() error) (string, error) {
	before, err := a.appendErrors(ctx)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errVoid, err)
	}
	var evidence string
	err = hold(ctx, a.between(0, 2*time.Second), func() error {
		if err := begin(); err != nil {
			return err
		}
		var err error
		evidence, err = rises(ctx, "failed appends and restarts of writers", before, func() (float64, error) { return a.appendErrors(ctx) })
		if err != nil {
			err = errors.Join(err, lift())
		}
		return err
	}, lift)
	return evidence, err
}

func readOnly(ctx context.Context, a *act) (string, error) {
	return a.felt(ctx,
		func() error {
			return a.statements(ctx, "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
		},
		func() error {
			return a.statements(context.WithoutCancel(ctx), "ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")
		})
}

func noConnections(ctx context.Context, a *act) (string, error) {
	return a.felt(ctx,
		func() error {
			return a.statements(ctx, "ALTER ROLE audit CONNECTION LIMIT 0", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'audit'")
		},
		func() error { return a.statements(context.WithoutCancel(ctx), "ALTER ROLE audit CONNECTION LIMIT -1") })
}

// locked holds what every append needs, and counts those that wait for it.
func locked(ctx context.Context, a *act) (string, error) {
	conn, err := a.connect(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	lock := "LOCK TABLE verdicts IN ACCESS EXCLUSIVE MODE"
	if a.rng.IntN(2) == 0 {
		lock = "SELECT * FROM audit_offsets FOR UPDATE"
	}
	waiting := 0
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lock); err != nil {
			return err
		}
		if err := sleep(ctx, a.between(2*time.Second, 12*time.Second)); err != nil {
			return err
		}
		return tx.QueryRow(ctx, "SELECT count(*) FROM pg_locks WHERE NOT granted").Scan(&waiting)
	})
	if err == nil && waiting == 0 {
		err = fmt.Errorf("%w: nobody waited for the lock", errVoid)
	}
	return fmt.Sprintf("%s: %d waited", lock, waiting), err
}

// diskFull fills the disk under the database to the last byte.
func diskFull(ctx context.Context, a *act) (string, error) {
	if a.ballast == "" {
		return "", fmt.Errorf("%w: Postgres has no disk of its own: that needs the right to mount", errVoid)
	}
	return a.felt(ctx, func() error {
		return fill(a.ballast)
	}, func() error {
		if err := os.Remove(a.ballast); err != nil {
			return err
		}
		// What finds no room for its log panics. It may have come up again by itself, or given up for want of room.
		conn, err := pgx.Connect(context.WithoutCancel(ctx), a.postgres.AdminURL)
		if err != nil {
			return a.postgres.Restart()
		}
		return conn.Close(context.WithoutCancel(ctx))
	})
}

// fill writes a file until its disk has no room.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for block := make([]byte, 1<<20); len(block) > 0; {
		if _, err := f.Write(block); err != nil {
			block = block[:len(block)/2]
		}
	}
	return nil
}
