package consumer

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mlmonitor/mlmonitor/kafka"
)

// rights that a scorer needs; docs/operations.md lists them, and a test runs it with these and no others.
func (m *member) rights() []kafka.Right {
	answer := []kmsg.ACLOperation{kmsg.ACLOperationWrite, kmsg.ACLOperationDescribeConfigs}
	rights := []kafka.Right{
		{Topic: m.topics.Transactions, Operations: []kmsg.ACLOperation{kmsg.ACLOperationRead}},
		{Topic: m.topics.Verdicts, Operations: answer},
		{Topic: m.topics.DeadLetters, Operations: answer},
		{Group: m.cfg.Group, Operations: []kmsg.ACLOperation{kmsg.ACLOperationRead}},
		{TransactionalID: m.transactionalID(), Operations: []kmsg.ACLOperation{kmsg.ACLOperationWrite}},
	}
	if m.topics.Models != "" {
		rights = append(rights, kafka.Right{Topic: m.topics.Models, Operations: []kmsg.ACLOperation{kmsg.ACLOperationWrite}})
	}
	return rights
}
