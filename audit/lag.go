package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// watchLag measures until ctx ends. It asks the brokers, so that a loop that stands still does not leave an old figure behind.
func (w *Writer) watchLag(ctx context.Context, cl *kgo.Client, a *assignment) {
	tick := time.NewTicker(w.lagEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := w.measureLag(ctx, cl, a); err != nil && ctx.Err() == nil {
			w.log.Warn("could not measure the lag", "topic", w.topics.Verdicts, "error", err)
		}
	}
}

func (w *Writer) measureLag(ctx context.Context, cl *kgo.Client, a *assignment) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	listed, err := kadm.NewClient(cl).ListCommittedOffsets(ctx, w.topics.Verdicts)
	if err != nil {
		return err
	}
	ends := map[int32]int64{}
	for p, o := range listed[w.topics.Verdicts] {
		if o.Err != nil {
			return fmt.Errorf("partition %d: %w", p, o.Err)
		}
		ends[p] = o.Offset
	}
	a.measure(time.Now(), ends)
	return nil
}
