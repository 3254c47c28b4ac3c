package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// checkTimeout bounds one question to the cluster.
const checkTimeout = 10 * time.Second

// Examine checks what the roles need of a cluster: that it answers, that it keeps the exactly-once promise, that the topics are there and led, and that the
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
	var found []Finding
	for _, one := range []func(context.Context) Finding{
		func(ctx context.Context) Finding { return examineBrokers(ctx, cl, brokers) },
		func(ctx context.Context) Finding { return examineListeners(ctx, cfg, brokers) },
		func(ctx context.Context) Finding { return examineTransactions(ctx, cl, cfg) },
		func(ctx context.Context) Finding { return examineTopics(ctx, cl, cfg) },
		func(ctx context.Context) Finding { return examinePartitions(ctx, cl, cfg) },
		func(ctx context.Context) Finding { return examineRetry(ctx, cl, brokers.NodeIDs()) },
	} {
		ctx, cancel := context.WithTimeout(ctx, checkTimeout)
		found = append(found, one(ctx))
		cancel()
	}
	return found, nil
}

// examineBrokers says how many there are, and of which version.
func examineBrokers(ctx context.Context, cl *kgo.Client, brokers kadm.BrokerDetails) Finding {
	versions, err := kadm.NewClient(cl).ApiVersions(ctx)
	if err != nil {
		return Failed("cluster", err.Error(), "see the brokers' logs")
	}
	by := map[string][]string{}
	for _, v := range versions.Sorted() {
		if v.Err != nil {
			return Failed("cluster", fmt.Sprintf("broker %d: %v", v.NodeID, v.Err), "start it; see its log")
		}
		by[v.VersionGuess()] = append(by[v.VersionGuess()], strconv.Itoa(int(v.NodeID)))
	}
	var all []string
	for version, ids := range by {
		all = append(all, fmt.Sprintf("Kafka %s on %s", version, strings.Join(ids, ", ")))
	}
	slices.Sort(all)
	found := fmt.Sprintf("%d brokers: %s", len(brokers), strings.Join(all, "; "))
	if len(by) > 1 {
		return Warned("cluster", found, "finish the upgrade of the brokers")
	}
	return Good("cluster", found)
}

// examineListeners looks at the certificates that the brokers show, with TLS.
func examineListeners(ctx context.Context, cfg *Config, brokers kadm.BrokerDetails) Finding {
	const check = "certificate of the brokers"
	if !cfg.UsesTLS() || cfg.Dial != nil {
		return Skipped(check, "KAFKA_TLS is not set")
	}
	t, err := cfg.tls()
	if err != nil {
		return Failed(check, err.Error(), "mend the file")
	}
	// The date alone is wanted, of a certificate that the clients have verified; nothing is sent.
	t.InsecureSkipVerify = true
	var shown []*x509.Certificate
	for _, b := range brokers {
		conn, err := (&tls.Dialer{Config: t}).DialContext(ctx, "tcp", net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port))))
		if err != nil {
			return Failed(check, fmt.Sprintf("broker %d: %v", b.NodeID, err), "the broker's listener; see \"When a connection is refused\" in docs/operations.md")
		}
		shown = append(shown, conn.(*tls.Conn).ConnectionState().PeerCertificates[0])
		conn.Close()
	}
	return JudgeCertificates(check, time.Now(), shown, false)
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
	if errors.Is(err, kerr.TopicAuthorizationFailed) {
		return Warned("topics", err.Error(), "run doctor as a user who may see all of them; what this one must do is judged below, as rights")
	}
	if err != nil {
		return Finding{"topics", Fail, err.Error(), "mlmonitor topics"}
	}
	var all []string
	for _, t := range found {
		all = append(all, fmt.Sprintf("%s %d", t.Name, t.Partitions))
	}
	// Nothing is scored the worse without these, but a challenger stays unseen, and who asks the API waits in vain.
	for _, name := range []string{cfg.Shadow, cfg.Replies} {
		if name == "" {
			continue
		}
		count, err := PartitionCount(ctx, cl, name)
		switch {
		case errors.Is(err, kerr.TopicAuthorizationFailed):
			all = append(all, name+" may not be seen")
			continue
		case err != nil:
			return Warned("topics", err.Error(), "mlmonitor topics")
		case count < found[0].Partitions:
			return Warned("topics", fmt.Sprintf("topic %s has %d partitions, %s has %d", name, count, cfg.Transactions, found[0].Partitions), "mlmonitor topics")
		}
		all = append(all, fmt.Sprintf("%s %d", name, count))
	}
	return Finding{"topics", OK, "partitions: " + strings.Join(all, ", "), ""}
}

// examinePartitions looks for those that nobody leads, and that lack replicas.
func examinePartitions(ctx context.Context, cl *kgo.Client, cfg *Config) Finding {
	const check = "replicas"
	details, err := kadm.NewClient(cl).ListTopics(ctx, cfg.needed()...)
	if errors.Is(err, kerr.TopicAuthorizationFailed) {
		return Skipped(check, "this user may not see all topics")
	}
	if err != nil {
		return Failed(check, err.Error(), "see the brokers' logs")
	}
	count, leaderless, thin := 0, []string{}, []string{}
	for _, topic := range details.Sorted() {
		for _, p := range topic.Partitions.Sorted() {
			count++
			name := fmt.Sprintf("%s/%d", topic.Topic, p.Partition)
			switch {
			case p.Leader < 0:
				leaderless = append(leaderless, name)
			case len(p.ISR) < len(p.Replicas):
				thin = append(thin, name)
			}
		}
	}
	return judgeReplicas(check, count, leaderless, thin)
}

func judgeReplicas(check string, count int, leaderless, thin []string) Finding {
	const names = 5 // that are told
	switch {
	case len(leaderless) > 0:
		return Failed(check, fmt.Sprintf("%d of %d partitions have no leader: %s", len(leaderless), count, strings.Join(leaderless[:min(names, len(leaderless))], ", ")),
			"start the brokers that hold them")
	case len(thin) > 0:
		return Warned(check, fmt.Sprintf("%d of %d partitions lack a replica: %s", len(thin), count, strings.Join(thin[:min(names, len(thin))], ", ")),
			"start the broker that is away, or wait until it has caught up")
	}
	return Good(check, fmt.Sprintf("all %d partitions have their leader and replicas", count))
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
