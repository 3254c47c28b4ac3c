package kit

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/mlmonitor/mlmonitor/kafka"
)

// Environment of a program that is measured: a scorer, or what is compared with it. Its logs are quiet. A topic that has no name is not used: a scorer would wait for one that
// nobody has made.
func Environment(topics *kafka.Config, group, instance string) []string {
	return []string{"KAFKA_BROKERS=" + strings.Join(topics.Brokers, ","), "CONSUMER_GROUP=" + group, "INSTANCE_ID=" + instance,
		"KAFKA_TOPIC_TRANSACTIONS=" + topics.Transactions, "KAFKA_TOPIC_VERDICTS=" + topics.Verdicts, "KAFKA_TOPIC_DEAD_LETTERS=" + topics.DeadLetters,
		"KAFKA_TOPIC_MODELS=" + topics.Models, "KAFKA_TOPIC_REPLIES=" + topics.Replies, "KAFKA_TOPIC_SHADOW=" + topics.Shadow,
		"KAFKA_COMPRESSION=" + topics.Compression, "LOG_LEVEL=error"}
}

// TransactionNumber is which of the simulator's transactions a copy or a verdict is of, by its id.
func TransactionNumber(value []byte) (int64, error) {
	_, value, _ = bytes.Cut(value, []byte(`"transaction_id":`))
	_, value, _ = bytes.Cut(value, []byte(`"tx-`))
	value, _, _ = bytes.Cut(value, []byte(`"`))
	return strconv.ParseInt(string(value), 10, 64)
}
