package audit

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mlmonitor/mlmonitor/kafka"
)

// rights that a writer needs on the brokers; docs/operations.md lists them, and a test runs it with these and no others.
func (w *Writer) rights() []kafka.Right { return rights(w.topics, w.cfg.Group) }

func rights(topics *kafka.Config, group string) []kafka.Right {
	read := []kmsg.ACLOperation{kmsg.ACLOperationRead}
	return []kafka.Right{{Topic: topics.Verdicts, Operations: read}, {Group: group, Operations: read}}
}
