package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/kafka"
)

// Group is a group of scorers as the brokers know it.
type Group struct {
	Name    string
	State   string // such as Stable
	Members []GroupMember
	Behind  map[int32]int64 // by partition of the input: inputs that are not answered yet
}

// GroupMember is a member of a group.
type GroupMember struct {
	Name       string // its instance, or what the brokers call it
	Host       string
	Partitions []int32
}

// DescribeGroup asks the brokers who scores, and how far they are. A group that nobody has joined yet has no members.
func DescribeGroup(ctx context.Context, topics *kafka.Config, group string) (*Group, error) {
	opts, err := topics.Options()
	if err != nil {
		return nil, err
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	behind, err := partitionLag(ctx, adm, topics.Transactions, group)
	if err != nil {
		return nil, fmt.Errorf("ask how far group %s is: %w", group, err)
	}
	described, err := adm.DescribeGroups(ctx, group)
	if err == nil {
		err = described.Error()
	}
	if errors.Is(err, kerr.GroupIDNotFound) {
		return &Group{Name: group, State: "Dead", Behind: behind}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ask who is in group %s: %w", group, err)
	}
	g := &Group{Name: group, State: described[group].State, Behind: behind}
	for _, m := range described[group].Members {
		one := GroupMember{Name: m.MemberID, Host: m.ClientHost}
		if m.InstanceID != nil {
			one.Name = *m.InstanceID
		}
		if assigned, ok := m.Assigned.AsConsumer(); ok {
			for _, t := range assigned.Topics {
				if t.Topic == topics.Transactions {
					one.Partitions = append(one.Partitions, t.Partitions...)
				}
			}
		}
		slices.Sort(one.Partitions)
		g.Members = append(g.Members, one)
	}
	slices.SortFunc(g.Members, func(a, b GroupMember) int { return strings.Compare(a.Name, b.Name) })
	return g, nil
}
