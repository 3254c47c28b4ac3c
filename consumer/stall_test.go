package consumer

import (
	"strings"
	"testing"
	"time"
)

func TestAStallIsInputsThatWaitAndNoCommit(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for _, c := range []struct {
		behind int64
		since  time.Duration
		want   bool
	}{{0, time.Hour, false}, {5000, 29 * time.Second, false}, {1, 31 * time.Second, true}} {
		m := &member{cfg: Config{TxnTimeout: 10 * time.Second}}
		m.behind.Store(c.behind)
		m.progress.Store(now.Add(-c.since).UnixNano())
		err := m.stalled(now)
		if (err != nil) != c.want || err != nil && !strings.Contains(err.Error(), "docs/operations.md") {
			t.Errorf("%d behind, %v since the last commit: %v", c.behind, c.since, err)
		}
	}
}
