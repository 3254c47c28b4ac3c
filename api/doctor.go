package api

import (
	"context"
	"time"

	"github.com/mlmonitor/mlmonitor/kafka"
)

// ExamineRights checks whether this user may do what the API must to have a transaction decided. What it only shows may be left out.
func ExamineRights(ctx context.Context, topics *kafka.Config) kafka.Finding {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return kafka.ExamineRights(ctx, topics, "api", kafka.Decides(topics))
}
