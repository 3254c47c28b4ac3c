package audit

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Ready says why this member does not write verdicts now, nil when it does: in the group, the last append went well, no partition lost, and
// database and brokers answer.
func (w *Writer) Ready(ctx context.Context) error {
	w.mu.Lock()
	state, failed, cl, assigned := w.state, w.failed, w.client, w.assigned
	w.mu.Unlock()
	switch {
	case failed != nil:
		return failed
	case state != nil:
		return state
	case cl == nil:
		return errors.New("starting")
	}
	if !assigned.isJoined() {
		return errors.New("waiting for the group to assign partitions")
	}
	if err := assigned.lostWhy(); err != nil {
		return err
	}
	if err := w.store.Ping(ctx); err != nil {
		return err
	}
	if err := cl.Ping(ctx); err != nil {
		return fmt.Errorf("no broker answers: %w", err)
	}
	return nil
}

func (w *Writer) setState(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state = err
}

func (w *Writer) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed = err
}

// settle is called when nothing is amiss.
func (w *Writer) settle() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed = nil
}

// setLife begins a life of the client, or ends it.
func (w *Writer) setLife(cl *kgo.Client, a *assignment) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.client, w.assigned, w.state = cl, a, nil
}
