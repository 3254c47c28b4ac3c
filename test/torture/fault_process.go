package torture

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// processKinds hurt scorers and audit writers.
func processKinds() []kind {
	score, audit := numbered("score", scorers), numbered("audit", writers)
	return []kind{
		{name: "kill-score", weight: 12, kills: true, targets: score, do: kill},
		{name: "kill-audit", weight: 6, kills: true, targets: audit, do: kill},
		{name: "lose-score", weight: 1, kills: true, targets: score, do: lose},
		{name: "term-score", weight: 1, targets: score, do: term},
		{name: "term-audit", weight: 1, targets: audit, do: term},
		{name: "pause-score", weight: 1, targets: score, do: freeze(200*time.Millisecond, 3*time.Second)},
		{name: "pause-audit", weight: 1, targets: audit, do: freeze(200*time.Millisecond, 3*time.Second)},
		{name: "txn-timeout", weight: 1, targets: score, do: timeout},
		{name: "zombie-score", weight: 1, targets: score, do: zombie},
		{name: "zombie-audit", weight: 1, targets: audit, do: freeze(memberSession+time.Second, memberSession+3*time.Second)},
		{name: "rebalance-storm", weight: 1, targets: []string{"group"}, do: storm},
		{name: "scale-1-3-1", weight: 1, targets: []string{"group"}, needs: score, do: scale},
	}
}

// kill ends a process at a random moment of its work; its supervisor starts it again at once.
func kill(ctx context.Context, a *act) (string, error) {
	if err := sleep(ctx, a.between(0, 400*time.Millisecond)); err != nil {
		return "", err
	}
	p := a.process()
	life, pid := p.Life()
	if err := p.Kill(false); err != nil {
		return "", fmt.Errorf("%w: %w", errVoid, err)
	}
	return fmt.Sprintf("process %d of life %d ended by SIGKILL", pid, life), nil
}

// lose is a kill without a supervisor: the others must take over.
func lose(ctx context.Context, a *act) (string, error) {
	p := a.process()
	if err := p.Kill(true); err != nil {
		return "", fmt.Errorf("%w: %w", errVoid, err)
	}
	err := sleep(ctx, a.between(memberSession+2*time.Second, memberSession+4*time.Second))
	return "ended by SIGKILL, and not started again for longer than its session", errors.Join(err, p.Start())
}

func term(ctx context.Context, a *act) (string, error) {
	if err := sleep(ctx, a.between(0, 400*time.Millisecond)); err != nil {
		return "", err
	}
	begin := time.Now()
	err := a.process().Stop(true)
	if errors.Is(err, errNotRunning) {
		return "", fmt.Errorf("%w: %w", errVoid, err)
	}
	if err != nil {
		a.find("stop", err.Error())
	}
	return fmt.Sprintf("ended on SIGTERM within %v", time.Since(begin).Round(time.Millisecond)), nil
}

// freeze has a process stand still for a time, then go on as if nothing had been.
func freeze(least, most time.Duration) func(context.Context, *act) (string, error) {
	return func(ctx context.Context, a *act) (string, error) {
		return a.frozen(ctx, a.between(least, most))
	}
}

func (a *act) frozen(ctx context.Context, d time.Duration) (string, error) {
	p := a.process()
	if err := hold(ctx, d, p.Freeze, p.Thaw); err != nil {
		return "", fmt.Errorf("%w: %w", errVoid, err)
	}
	return fmt.Sprintf("the kernel says stopped, for %v", d.Round(time.Millisecond)), nil
}

// timeout has a scorer stand still for longer than its transaction may last, within its session. It counts when the transaction did not commit.
func timeout(ctx context.Context, a *act) (string, error) {
	return a.refused(ctx, a.between(txnTimeout+1200*time.Millisecond, memberSession-300*time.Millisecond))
}

// zombie has a scorer stand still until its partitions and its transaction are gone. It counts when what it had under way was refused.
func zombie(ctx context.Context, a *act) (string, error) {
	return a.refused(ctx, a.between(memberSession+time.Second, memberSession+4*time.Second))
}

// refused freezes a scorer, and looks for the transaction that could not commit.
func (a *act) refused(ctx context.Context, d time.Duration) (string, error) {
	p := a.process()
	failed := func() (float64, error) {
		l, err := counted(ctx, p)
		if err != nil {
			return 0, err
		}
		restarts, err := p.Counter(ctx, "mlmonitor_consumer_restarts_total")
		return l.aborted + l.undecided + restarts, err
	}
	before, err := failed()
	if err != nil {
		return "", fmt.Errorf("%w: %w", errVoid, err)
	}
	evidence, err := a.frozen(ctx, d)
	if err != nil {
		return "", err
	}
	more, err := rises(ctx, "aborts and restarts", before, failed)
	return evidence + "; " + more, err
}

// storm has further scorers join and leave, one a second.
func storm(ctx context.Context, a *act) (string, error) {
	const extras = 2
	joined := 0
	for i := range 4 + a.rng.IntN(4) {
		p, err := a.newScorer(a.rng.IntN(scorers), fmt.Sprintf("score-storm-%d", i%extras+1))
		if err != nil {
			return "", err
		}
		if err := p.Start(); err != nil {
			return "", err
		}
		if until(ctx, 4*time.Second, func() error { return p.Ready(ctx) }) == nil {
			joined++
		}
		err = sleep(ctx, a.between(0, 400*time.Millisecond))
		if stopped := p.Stop(false); stopped != nil {
			a.find("stop", stopped.Error())
		}
		a.retire()
		if err != nil {
			return "", err
		}
	}
	if joined < 2 {
		return "", fmt.Errorf("%w: only %d members joined", errVoid, joined)
	}
	return fmt.Sprintf("%d members joined and left", joined), nil
}

func (w *World) retire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.retired++
}

// scale goes from three scorers to one, to three, to one, and back.
func scale(ctx context.Context, a *act) (string, error) {
	stop := func() error {
		for _, p := range a.scorers[1:] {
			if err := p.Stop(false); errors.Is(err, errNotRunning) {
				return fmt.Errorf("%w: %w", errVoid, err)
			} else if err != nil {
				a.find("stop", err.Error())
			}
		}
		return sleep(ctx, a.between(500*time.Millisecond, 2*time.Second))
	}
	begin := func() error {
		for _, p := range a.scorers[1:] {
			if err := p.Start(); err != nil {
				return err
			}
			if err := until(ctx, time.Minute, func() error { return p.Ready(ctx) }); err != nil {
				return err
			}
		}
		return nil
	}
	err := stop()
	if err == nil {
		err = begin()
	}
	if err == nil {
		err = stop()
	}
	return "two scorers left, joined, left and joined again", errors.Join(err, begin())
}
