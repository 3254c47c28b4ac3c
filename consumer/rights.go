package consumer

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mlmonitor/mlmonitor/kafka"
)

// rights that a member needs; docs/operations.md lists them, and a test runs it with these and no others.
func (m *member) rights() []kafka.Right {
	return append(rights(m.topics, m.cfg.Group), kafka.Right{TransactionalID: m.transactionalID(), Operations: []kmsg.ACLOperation{kmsg.ACLOperationWrite}})
}

// rights that all members of a group need.
func rights(topics *kafka.Config, group string) []kafka.Right {
	answer := []kmsg.ACLOperation{kmsg.ACLOperationWrite, kmsg.ACLOperationDescribeConfigs}
	rights := []kafka.Right{
		{Topic: topics.Transactions, Operations: []kmsg.ACLOperation{kmsg.ACLOperationRead}},
		{Topic: topics.Verdicts, Operations: answer},
		{Topic: topics.DeadLetters, Operations: answer},
		{Group: group, Operations: []kmsg.ACLOperation{kmsg.ACLOperationRead}},
	}
	if topics.Models != "" {
		rights = append(rights, kafka.Right{Topic: topics.Models, Operations: []kmsg.ACLOperation{kmsg.ACLOperationWrite}})
	}
	return rights
}
