package app

import (
	"context"
	"fmt"

	"github.com/mlmonitor/mlmonitor/consumer"
	"github.com/mlmonitor/mlmonitor/kafka"
)

// Doctor checks what the roles depend on, as it is configured here. An error means that it could not look, not that something is wrong.
func Doctor(ctx context.Context, topics *kafka.Config, c *consumer.Config) ([]kafka.Finding, error) {
	found, err := kafka.Examine(ctx, topics)
	if err != nil || found[0].State == kafka.Fail {
		return found, err
	}
	lag, err := consumer.Lag(ctx, topics, c.Group)
	if err != nil {
		return append(found, kafka.Finding{Check: "lag", State: kafka.Warn, Found: err.Error(), Mend: "see the findings above"}), nil
	}
	return append(found, kafka.Finding{Check: "lag", State: kafka.OK, Found: fmt.Sprintf("%d inputs are not answered by group %s", lag, c.Group)}), nil
}
