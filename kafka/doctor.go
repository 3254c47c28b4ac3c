package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// State of what was checked.
type State string

// The states, from good to bad.
const (
	OK   State = "ok"
	Warn State = "warn" // works, but not as well as it could
	Fail State = "fail" // does not work, or not safely
)

// Finding is what one check found.
type Finding struct {
	Check string `json:"check"`
	State State  `json:"state"`
	Found string `json:"found"`
	Mend  string `json:"mend,omitempty"` // what to do; empty when it is ok
}

// Examine checks what the roles need of a cluster: that it answers, that it keeps the exactly-once promise, that the topics are there, and that the
// brokers are set to be fast. Later checks are left out when the cluster does not answer.
func Examine(ctx context.Context, cfg *Config) ([]Finding, error) {
	opts, err := cfg.Options()
	if err != nil {
		return nil, err
	}
	if err := ping(ctx, opts); err != nil {
		mend := "start it, or mend KAFKA_BROKERS"
		if why := refusal(cfg, err); why != "" {
			mend = why
		}
		return []Finding{{"cluster", Fail, fmt.Sprintf("%s: %v", strings.Join(cfg.Brokers, ","), err), mend}}, nil
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	brokers, err := kadm.NewClient(cl).ListBrokers(ctx)
	if err != nil {
		return []Finding{{"cluster", Fail, err.Error(), "see the brokers' logs"}}, nil
	}
	return []Finding{
		{"cluster", OK, fmt.Sprintf("%d brokers", len(brokers)), ""},
		examineTransactions(ctx, cl, cfg),
		examineTopics(ctx, cl, cfg),
		examineRetry(ctx, cl, brokers.NodeIDs()),
	}, nil
}

func examineTransactions(ctx context.Context, cl *kgo.Client, cfg *Config) Finding {
	const check = "transaction.version"
	lenient := *cfg
	lenient.AllowOldBrokers = true // to be told the version, not an error
	version, err := CheckTransactions(ctx, cl, &lenient)
	switch {
	case err != nil:
		return Finding{check, Fail, err.Error(), "see the brokers' logs"}
	case version >= 2:
		return Finding{check, OK, strconv.Itoa(int(version)), ""}
	case cfg.AllowOldBrokers:
		return Finding{check, Warn, fmt.Sprintf("%d, and KAFKA_ALLOW_OLD_BROKERS is set: a crash may lose or double a verdict", version), "run Kafka 4.0 or newer with transaction.version=2"}
	}
	return Finding{check, Fail, fmt.Sprintf("%d, 2 is needed", version), "run Kafka 4.0 or newer and `kafka-features.sh upgrade --feature transaction.version=2`"}
}

func examineTopics(ctx context.Context, cl *kgo.Client, cfg *Config) Finding {
	found, err := CheckTopics(ctx, cl, cfg)
	if err != nil {
		return Finding{"topics", Fail, err.Error(), "mlmonitor topics"}
	}
	var all []string
	for _, t := range found {
		all = append(all, fmt.Sprintf("%s %d", t.Name, t.Partitions))
	}
	return Finding{"topics", OK, "partitions: " + strings.Join(all, ", "), ""}
}

// The broker settings that say how long the first record of a transaction waits, time after time, for the end of the one before.
const (
	retryBackoff    = "add.partitions.to.txn.retry.backoff.ms"
	retryBackoffMax = "add.partitions.to.txn.retry.backoff.max.ms"
)

// examineRetry reports the slowest broker.
func examineRetry(ctx context.Context, cl *kgo.Client, brokers []int32) Finding {
	configs, err := kadm.NewClient(cl).DescribeBrokerConfigs(ctx, brokers...)
	worst := Finding{retryBackoff, OK, "", ""}
	for _, broker := range configs {
		if err = broker.Err; err != nil {
			break
		}
		value := map[string]string{}
		for _, c := range broker.Configs {
			value[c.Key] = c.MaybeValue()
		}
		finding := judgeRetry(broker.Name, value[retryBackoff], value[retryBackoffMax])
		if worst.Found == "" || finding.State != OK {
			worst = finding
		}
		if worst.State == Fail {
			break
		}
	}
	if errors.Is(err, kerr.ClusterAuthorizationFailed) {
		return Finding{retryBackoff, Warn, "not allowed to read the brokers' settings", "run doctor as a user with DescribeConfigs on the cluster"}
	}
	if worst.Found == "" {
		return Finding{retryBackoff, Warn, "the brokers do not say", "see docs/performance.md"}
	}
	return worst
}

// judgeRetry judges the settings of one broker, as it gives them.
func judgeRetry(broker, backoff, most string) Finding {
	found := fmt.Sprintf("%s ms on broker %s", backoff, broker)
	ms, err := strconv.Atoi(backoff)
	if err != nil {
		return Finding{retryBackoff, Warn, fmt.Sprintf("broker %s does not say", broker), "see docs/performance.md"}
	}
	if limit, err := strconv.Atoi(most); err == nil && limit <= ms && limit < 20 {
		return Finding{retryBackoff, Fail, fmt.Sprintf("%s, and %s is %d: a transaction's first record may wait for ever", found, retryBackoffMax, limit),
			"leave " + retryBackoffMax + " at its default, 100"}
	}
	if ms > 5 {
		return Finding{retryBackoff, Warn, found + ": what a transaction's first record waits when it comes too early",
			"set " + retryBackoff + "=1 on the brokers where you may; score waits for the right moment where you may not"}
	}
	return Finding{retryBackoff, OK, found, ""}
}
