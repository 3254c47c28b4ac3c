package torture

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"time"
)

// hangsAfter is longer than any transaction of ours lives.
const hangsAfter = 30 * time.Second

// unblock does what docs/operations.md says under "When score is stalled": it has the product end the transactions that their coordinator has forgotten.
// Kafka 4.3.1 leaves one behind at times when its nodes are killed under load, and no client can then go on.
func (w *World) unblock(ctx context.Context) {
	if !w.unblocking.TryLock() {
		return // another does it
	}
	defer w.unblocking.Unlock()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, w.binary, "topics", "unblock", "--apply", "--quiet", hangsAfter.String())
	cmd.Env = append(os.Environ(), "KAFKA_BROKERS="+strings.Join(w.kafka.Brokers, ","), "INSTANCE_ID=unblock", "CONSUMER_TXN_TIMEOUT="+txnTimeout.String())
	out, err := cmd.Output()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "producer") {
			w.hanging.Add(1)
			w.log("Kafka had forgotten a transaction: %s", strings.TrimSpace(line))
		}
	}
	if err != nil && ctx.Err() == nil {
		w.log("unblock: %v", err) // tried again while something waits
	}
	time.Sleep(2 * time.Second) // not again and again
}
