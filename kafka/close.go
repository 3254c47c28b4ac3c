package kafka

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Closing bounds how long a member of a group takes to close: the client waits for a join that is under way, and a join for as long as the group's rebalance
// takes, a minute when a member has gone silent. opt is for the client; closeWithin calls the client's own close, and cuts the wait off after d.
func Closing() (opt kgo.Opt, closeWithin func(d time.Duration, close func())) {
	ctx, cut := context.WithCancel(context.Background())
	return kgo.WithContext(ctx), func(d time.Duration, close func()) {
		timer := time.AfterFunc(d, cut)
		close()
		timer.Stop()
		cut()
	}
}
