package kafka

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Roles are those that a Kafka user can be made for.
var Roles = []string{"score", "audit", "api", "replay", "produce", "consume", "operate"}

// Access is all that a role may need on the cluster, with every part of it in use: the table "Least privilege" of docs/operations.md. The group of who consumes verdicts has the name of its user.
func Access(role, user string, topics *Config, scorers, writers string) ([]Right, error) {
	const read, write, describe, describeConfigs = kmsg.ACLOperationRead, kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe, kmsg.ACLOperationDescribeConfigs
	var rights []Right
	topic := func(name string, operations ...kmsg.ACLOperation) {
		if name != "" { // nobody writes or reads what is turned off
			rights = append(rights, Right{Topic: name, Operations: operations})
		}
	}
	group := func(name string, operation kmsg.ACLOperation) {
		rights = append(rights, Right{Group: name, Operations: []kmsg.ACLOperation{operation}})
	}
	switch role {
	case "score":
		topic(topics.Transactions, read)
		topic(topics.Verdicts, read, write, describeConfigs)
		topic(topics.DeadLetters, read, write, describeConfigs)
		topic(topics.Models, write)
		topic(topics.Shadow, write)
		topic(topics.Replies, write)
		group(scorers, read)
		rights = append(rights, Right{TransactionalID: scorers + "-", Prefixed: true, Operations: []kmsg.ACLOperation{write}})
	case "audit":
		topic(topics.Verdicts, read)
		group(writers, read)
	case "api":
		topic(topics.Transactions, read, write)
		topic(topics.Replies, read)
		topic(topics.Verdicts, read)
		topic(topics.DeadLetters, read)
		topic(topics.Models, read)
		group(scorers, describe)
	case "replay":
		topic(topics.Transactions, read)
		topic(topics.Verdicts, read)
		topic(topics.DeadLetters, read)
		topic(topics.Models, read)
		group(scorers, describe)
	case "produce":
		topic(topics.Transactions, write)
	case "consume":
		if user == scorers || user == writers || user == scorers+"-redrive" {
			return nil, fmt.Errorf("user %q has the name of a group of ours: whoever may join it takes its partitions", user)
		}
		topic(topics.Verdicts, read)
		group(user, read)
	case "operate":
		topic(topics.Transactions, read, write)
		topic(topics.DeadLetters, read, write)
		for _, name := range []string{topics.Verdicts, topics.Shadow, topics.Replies, topics.Models} {
			topic(name, read)
		}
		group(scorers, describe)
		group(scorers+"-redrive", read)
		rights = append(rights, Right{TransactionalID: scorers + "-redrive", Operations: []kmsg.ACLOperation{write}})
	default:
		return nil, fmt.Errorf("there is no role %q: take %s", role, strings.Join(Roles, ", "))
	}
	return rights, nil
}

// Decides are the rights without which the API has nothing decided.
func Decides(topics *Config) []Right {
	rights := []Right{{Topic: topics.Transactions, Operations: []kmsg.ACLOperation{kmsg.ACLOperationWrite}}}
	if topics.Replies != "" {
		rights = append(rights, Right{Topic: topics.Replies, Operations: []kmsg.ACLOperation{kmsg.ACLOperationRead}})
	}
	return rights
}
