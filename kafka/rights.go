package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Right is something that a user must be allowed: operations on a topic, a group or a transactional id.
type Right struct {
	Topic, Group, TransactionalID string // one of them
	Prefixed                      bool   // and all whose names begin with it
	Operations                    []kmsg.ACLOperation
}

// operations by the name that Kafka's own tools and docs/operations.md have for them.
var operations = map[kmsg.ACLOperation]string{
	kmsg.ACLOperationRead: "Read", kmsg.ACLOperationWrite: "Write", kmsg.ACLOperationDescribe: "Describe", kmsg.ACLOperationDescribeConfigs: "DescribeConfigs",
}

// Explain adds to an authorization error which of the needed rights are missing: the brokers say only of what kind the resource is. Any other error comes back as it is.
func Explain(ctx context.Context, cfg *Config, needed []Right, err error) error {
	if !errors.Is(err, kerr.TopicAuthorizationFailed) && !errors.Is(err, kerr.GroupAuthorizationFailed) && !errors.Is(err, kerr.TransactionalIDAuthorizationFailed) {
		return err
	}
	missing, asked := missingRights(ctx, cfg, needed, errors.Is(err, kerr.TransactionalIDAuthorizationFailed))
	if asked != nil || len(missing) == 0 {
		missing = []string{"do something it must"}
	}
	return fmt.Errorf("user %q may not %s: grant it, see \"Least privilege\" in docs/operations.md: %w", cfg.Username, strings.Join(missing, ", nor "), err)
}

// ExamineRights asks the brokers whether this user has the rights that a role needs. Of transactional ids they do not tell.
func ExamineRights(ctx context.Context, cfg *Config, role string, needed []Right) Finding {
	check := "rights of " + role
	missing, err := missingRights(ctx, cfg, needed, false)
	switch {
	case err != nil:
		return Warned(check, err.Error(), "see the findings above")
	case len(missing) > 0:
		return Failed(check, fmt.Sprintf("user %q may not %s", cfg.Username, strings.Join(missing, ", nor ")), "grant it: see \"Least privilege\" in docs/operations.md")
	}
	return Good(check, "all that the brokers tell of: topics and group")
}

// missingRights asks the brokers what this user may. They do not tell of transactional ids: whether that is refused is known from the error.
func missingRights(ctx context.Context, cfg *Config, needed []Right, transactionalID bool) (missing []string, err error) {
	opts, err := cfg.Options()
	if err != nil {
		return nil, err
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for _, r := range needed {
		name, allowed := r.name(), int32(0)
		switch {
		case r.Topic != "":
			var seen bool
			if allowed, seen, err = topicRights(ctx, cl, r.Topic); errors.Is(err, kerr.UnknownTopicOrPartition) {
				err = nil // no matter of rights
				continue
			} else if err == nil && !seen {
				// The brokers hide all rights on it. What comes first, Read or Write, would let it be seen; of others nothing is known.
				missing = append(missing, operations[r.Operations[0]]+" "+name)
				continue
			}
		case r.Group != "":
			if allowed, err = groupRights(ctx, cl, r.Group); errors.Is(err, kerr.GroupIDNotFound) {
				err = nil // nobody has joined it yet: nothing is known
				continue
			}
		default:
			if !transactionalID {
				continue
			}
		}
		if err != nil {
			return nil, err
		}
		for _, o := range r.Operations {
			if allowed&(1<<o) == 0 {
				missing = append(missing, operations[o]+" "+name)
			}
		}
	}
	return missing, nil
}

// topicRights are bits of kmsg.ACLOperation; the topic may not even be seen. An error where there is none of the name.
func topicRights(ctx context.Context, cl *kgo.Client, name string) (rights int32, seen bool, err error) {
	req := kmsg.NewPtrMetadataRequest()
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = kmsg.StringPtr(name)
	req.Topics, req.IncludeTopicAuthorizedOperations = append(req.Topics, topic), true
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return 0, false, err
	}
	if len(resp.Topics) != 1 || resp.Topics[0].ErrorCode == kerr.UnknownTopicOrPartition.Code {
		return 0, false, kerr.UnknownTopicOrPartition
	}
	if resp.Topics[0].ErrorCode != 0 {
		return 0, false, nil
	}
	return resp.Topics[0].AuthorizedOperations, true, nil
}

// groupRights are the same for a group. An error where there is none of the name.
func groupRights(ctx context.Context, cl *kgo.Client, name string) (int32, error) {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups, req.IncludeAuthorizedOperations = []string{name}, true
	resp, err := req.RequestWith(ctx, cl)
	if errors.Is(err, kerr.GroupAuthorizationFailed) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if len(resp.Groups) != 1 || resp.Groups[0].ErrorCode == kerr.GroupIDNotFound.Code {
		return 0, kerr.GroupIDNotFound
	}
	if resp.Groups[0].ErrorCode != 0 {
		return 0, nil
	}
	return resp.Groups[0].AuthorizedOperations, nil
}
