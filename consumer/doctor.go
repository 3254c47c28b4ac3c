package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/mlmonitor/mlmonitor/kafka"
)

// checkTimeout bounds one question to the brokers.
const checkTimeout = 10 * time.Second

// ExamineRights checks whether this user may do what a scorer must.
func ExamineRights(ctx context.Context, topics *kafka.Config, group string) kafka.Finding {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return kafka.ExamineRights(ctx, topics, "score", rights(topics, group))
}

// Examine checks a group of scorers: who is in it, how far it is behind, and whether a transaction hangs on what it writes: one whose last record is older than quiet.
func Examine(ctx context.Context, topics *kafka.Config, group string, quiet time.Duration) (found []kafka.Finding) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	g, err := DescribeGroup(ctx, topics, group)
	if err != nil {
		return append(found, kafka.Warned("scorers", err.Error(), "let this user Describe the group and the topic, and see the findings above"))
	}
	return append(append(found, judgeGroup(g)...), examineTransactions(ctx, topics, group, quiet))
}

func examineTransactions(ctx context.Context, topics *kafka.Config, group string, quiet time.Duration) kafka.Finding {
	const check, mend = "hanging transactions", "`mlmonitor topics unblock` says what each was, with --apply it ends it so; as an administrator"
	hanging, err := Unblock(ctx, topics, group, quiet, false)
	switch {
	case errors.Is(err, kerr.TopicAuthorizationFailed) || errors.Is(err, kerr.ClusterAuthorizationFailed):
		return kafka.Skipped(check, "this user may not look at "+offsetsTopic)
	case err != nil:
		return kafka.Warned(check, err.Error(), "see the findings above")
	case len(hanging) > 0:
		first := hanging[0].Partitions[0]
		return kafka.Failed(check, fmt.Sprintf("%d, such as that from offset %d of %s partition %d: readers wait there, and scorers too", len(hanging), first.Offset, first.Topic, first.Partition), mend)
	}
	return kafka.Good(check, "none on the topics of answers and among the group's offsets")
}

// judgeGroup: inputs that wait while nobody reads them are a warning, not a fault of this environment: the scorers may be about to start.
func judgeGroup(g *Group) []kafka.Finding {
	read := map[int32]bool{}
	var names []string
	for _, m := range g.Members {
		names = append(names, m.Name)
		for _, p := range m.Partitions {
			read[p] = true
		}
	}
	waiting, most, unread := int64(0), int64(0), []string{}
	worst := int32(0)
	for p, behind := range g.Behind {
		waiting += behind
		if behind > most {
			most, worst = behind, p
		}
		if !read[p] {
			unread = append(unread, fmt.Sprint(p))
		}
	}
	slices.Sort(unread)
	who := kafka.Good("scorers", fmt.Sprintf("%d members of group %s, %s: %s", len(names), g.Name, g.State, strings.Join(names, ", ")))
	switch {
	case len(names) == 0:
		who = kafka.Warned("scorers", fmt.Sprintf("nobody is in group %s", g.Name), "start mlmonitor score")
	case g.State != "Stable":
		who = kafka.Warned("scorers", who.Found, "the group is being balanced: look again in a minute")
	case len(unread) > 0:
		who = kafka.Warned("scorers", fmt.Sprintf("%s; nobody reads partitions %s", who.Found, strings.Join(unread, ", ")), "look again in a minute; then see \"When score is stalled\" in docs/operations.md")
	}
	lag := kafka.Good("lag", fmt.Sprintf("%d inputs are not answered by group %s", waiting, g.Name))
	if most > 0 {
		lag.Found += fmt.Sprintf(", most of them %d in partition %d", most, worst)
	}
	if waiting > 0 && len(names) == 0 {
		lag = kafka.Warned("lag", lag.Found, "start mlmonitor score")
	}
	return []kafka.Finding{who, lag}
}
