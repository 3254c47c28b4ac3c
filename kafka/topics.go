package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Layout is how topics are made where they do not exist.
type Layout struct {
	Partitions  int32 `envconfig:"KAFKA_PARTITIONS" default:"6" desc:"partitions of a topic that is created"`
	Replication int16 `envconfig:"KAFKA_REPLICATION_FACTOR" default:"-1" desc:"replicas of a topic that is created; -1 is the broker's default"`
}

// Validate names the variable that is wrong.
func (l *Layout) Validate() error {
	if l.Partitions < 1 || l.Partitions > 10_000 {
		return fmt.Errorf("KAFKA_PARTITIONS is %d: set it to 1 … 10000", l.Partitions)
	}
	if l.Replication != -1 && l.Replication < 1 {
		return fmt.Errorf("KAFKA_REPLICATION_FACTOR is %d: set it to 1 or more, or -1 for the broker's default", l.Replication)
	}
	return nil
}

// maxMessageBytes is max.message.bytes of the output topics that are created, and the largest batch that is sent: a dead letter is its
// input, 1 MiB with the brokers' default, and its headers.
const maxMessageBytes = 2 << 20

// repliesRetention is how long replies stand on their topic: they are of use for seconds.
const repliesRetention = time.Hour

// Topic is one topic as found or made.
type Topic struct {
	Name       string `json:"name"`
	Partitions int    `json:"partitions"`
	Created    bool   `json:"created"`
	Grown      bool   `json:"grown"` // partitions were added
}

// Topics lists the topics that records go through, the input first. The topic of models is not among them.
func (c *Config) Topics() []string { return []string{c.Transactions, c.Verdicts, c.DeadLetters} }

// all are Topics and the topic of models.
func (c *Config) all() []string {
	all := c.Topics()
	for _, name := range []string{c.Shadow, c.Replies, c.Models} {
		if name != "" {
			all = append(all, name)
		}
	}
	return all
}

// needed are those without which nothing is scored. What stands in the shadow, and replies, are not among them.
func (c *Config) needed() []string {
	return slices.DeleteFunc(c.all(), func(name string) bool { return name == c.Shadow || name == c.Replies })
}

// PartitionCount is how many partitions a topic has.
func PartitionCount(ctx context.Context, cl *kgo.Client, topic string) (int, error) {
	details, err := kadm.NewClient(cl).ListTopics(ctx, topic)
	if err != nil {
		return 0, fmt.Errorf("ask for topic %s: %w", topic, err)
	}
	d := details[topic]
	if d.Err != nil {
		return 0, fmt.Errorf("topic %s: %w: run `mlmonitor topics` to create it, and let scorers Write it", topic, d.Err)
	}
	return len(d.Partitions), nil
}

// LayOut creates the topics that are missing, or with check only looks for them.
func LayOut(ctx context.Context, cfg *Config, layout Layout, check bool) ([]Topic, error) {
	opts, err := cfg.Options()
	if err != nil {
		return nil, err
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	if check {
		return CheckTopics(ctx, cl, cfg)
	}
	return EnsureTopics(ctx, cl, cfg, layout)
}

// EnsureTopics creates what is missing and grows the output topics to the input's number of partitions; an existing topic's settings stay.
func EnsureTopics(ctx context.Context, cl *kgo.Client, cfg *Config, layout Layout) ([]Topic, error) {
	adm := kadm.NewClient(cl)
	var made []Topic
	for _, name := range cfg.all() {
		var configs map[string]*string
		count := layout.Partitions
		switch name {
		case cfg.Transactions:
		case cfg.Models: // one order of events, for good
			count = 1
			configs = map[string]*string{"retention.ms": kadm.StringPtr("-1"), "retention.bytes": kadm.StringPtr("-1"), "cleanup.policy": kadm.StringPtr("delete")}
		case cfg.Replies: // nobody waits for long
			configs = map[string]*string{"retention.ms": kadm.StringPtr(strconv.FormatInt(repliesRetention.Milliseconds(), 10)), "max.message.bytes": kadm.StringPtr(strconv.Itoa(maxMessageBytes))}
		default:
			configs = map[string]*string{"max.message.bytes": kadm.StringPtr(strconv.Itoa(maxMessageBytes))}
		}
		resp, err := adm.CreateTopic(ctx, count, layout.Replication, configs, name)
		switch {
		case err == nil:
			made = append(made, Topic{Name: name, Partitions: int(count), Created: true})
		case errors.Is(err, kerr.TopicAlreadyExists):
			made = append(made, Topic{Name: name})
		default:
			return nil, fmt.Errorf("create topic %s: %w %s", name, err, resp.ErrMessage)
		}
	}
	counts, err := settled(ctx, adm, cfg)
	if err != nil {
		return nil, err
	}
	for i := range made {
		t := &made[i]
		if t.Partitions = counts[t.Name]; t.Partitions >= counts[cfg.Transactions] || t.Name == cfg.Models {
			continue
		}
		t.Partitions, t.Grown = counts[cfg.Transactions], true
		if err := firstPartitionError(adm.UpdatePartitions(ctx, t.Partitions, t.Name)); err != nil {
			return nil, fmt.Errorf("grow topic %s to %d partitions: %w", t.Name, t.Partitions, err)
		}
	}
	return made, nil
}

// settled waits until every broker that answers knows the topics: one that was created a moment ago may be unknown to the next broker.
func settled(ctx context.Context, adm *kadm.Client, cfg *Config) (map[string]int, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		counts, err := partitions(ctx, adm, cfg.all())
		if !errors.Is(err, errNoTopics) {
			return counts, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func firstPartitionError(r kadm.CreatePartitionsResponses, err error) error {
	if err != nil {
		return err
	}
	return r.Error()
}

// CheckTopics makes sure that the topics exist and that each output partition has a place for its input partition.
func CheckTopics(ctx context.Context, cl *kgo.Client, cfg *Config) ([]Topic, error) {
	counts, err := partitions(ctx, kadm.NewClient(cl), cfg.needed())
	if err != nil {
		return nil, err
	}
	var found []Topic
	for _, name := range cfg.needed() {
		if counts[name] < counts[cfg.Transactions] && name != cfg.Models {
			return nil, fmt.Errorf("topic %s has %d partitions, %s has %d: run `mlmonitor topics` to grow it", name, counts[name], cfg.Transactions, counts[cfg.Transactions])
		}
		found = append(found, Topic{Name: name, Partitions: counts[name]})
	}
	return found, nil
}

var errNoTopics = errors.New("topics do not exist")

func partitions(ctx context.Context, adm *kadm.Client, names []string) (map[string]int, error) {
	details, err := adm.ListTopics(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	counts := map[string]int{}
	var missing []string
	for _, name := range names {
		switch d := details[name]; {
		case errors.Is(d.Err, kerr.UnknownTopicOrPartition):
			missing = append(missing, name)
		case d.Err != nil:
			return nil, fmt.Errorf("topic %s: %w", name, d.Err)
		default:
			counts[name] = len(d.Partitions)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return nil, fmt.Errorf("%w: %s: run `mlmonitor topics` to create them", errNoTopics, strings.Join(missing, ", "))
	}
	return counts, nil
}

// MaxMessageBytes is the largest batch, in bytes, that every one of the topics takes.
func MaxMessageBytes(ctx context.Context, cl *kgo.Client, topics ...string) (int32, error) {
	configs, err := kadm.NewClient(cl).DescribeTopicConfigs(ctx, topics...)
	if err != nil {
		return 0, fmt.Errorf("ask for max.message.bytes: %w", err)
	}
	least := int64(maxMessageBytes)
	for _, topic := range configs {
		if topic.Err != nil {
			return 0, fmt.Errorf("ask for max.message.bytes of %s: %w", topic.Name, topic.Err)
		}
		for _, c := range topic.Configs {
			if c.Key != "max.message.bytes" || c.Value == nil {
				continue
			}
			n, err := strconv.ParseInt(*c.Value, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("max.message.bytes of %s: %w", topic.Name, err)
			}
			least = min(least, n)
		}
	}
	return int32(max(least, 1<<10)), nil
}
