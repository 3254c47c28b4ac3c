package producer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/schemas"
)

// HeaderReply asks for a copy of the answer to an input: "PARTITION ID" of the topic of replies. On a reply it says which kind it is.
const HeaderReply = "mlmonitor.reply"

// maxReplyID bounds the id that a reply is told by, in bytes.
const maxReplyID = 64

// Kinds of replies.
const (
	replyVerdict = "verdict"
	replyRefusal = "refusal"
)

// AskReply asks for a copy of the answer in a partition of the topic of replies, under an id.
func AskReply(in *kgo.Record, partition int32, id string) {
	in.Headers = append(in.Headers, kgo.RecordHeader{Key: HeaderReply, Value: []byte(strconv.Itoa(int(partition)) + " " + id)})
}

// ReplyTo is what an input asks for; false where it asks for nothing, or nothing that makes sense.
func ReplyTo(in *kgo.Record) (partition int32, id []byte, ok bool) {
	for i := range in.Headers {
		if in.Headers[i].Key != HeaderReply {
			continue
		}
		number, id, found := bytes.Cut(in.Headers[i].Value, []byte(" "))
		n, err := strconv.ParseInt(string(number), 10, 32)
		if !found || err != nil || n < 0 || len(id) == 0 || len(id) > maxReplyID {
			return 0, nil, false
		}
		return int32(n), id, true
	}
	return 0, nil, false
}

// Refusal is a reply that has no verdict: the input is a dead letter.
type Refusal struct {
	Class   schemas.Class  `json:"class"`
	Message string         `json:"message"`
	Source  schemas.Source `json:"source"`
}

// ReplyVerdict is the reply that has a verdict, whose bytes are those of the topic of verdicts.
func ReplyVerdict(topic string, partition int32, id, payload []byte) kgo.Record {
	return kgo.Record{Topic: topic, Partition: partition, Key: id, Value: payload, Headers: []kgo.RecordHeader{{Key: HeaderReply, Value: []byte(replyVerdict)}}}
}

// ReplyRefusal is the reply to a dead letter.
func ReplyRefusal(topic string, partition int32, id []byte, r Refusal) (kgo.Record, error) {
	r.Message = clip(r.Message)
	text, err := json.Marshal(r)
	return kgo.Record{Topic: topic, Partition: partition, Key: id, Value: text, Headers: []kgo.RecordHeader{{Key: HeaderReply, Value: []byte(replyRefusal)}}}, err
}

// Reply is a record of the topic of replies.
type Reply struct {
	ID      string
	Payload []byte // the verdict's bytes; nil for a refusal
	Refusal *Refusal
}

// ParseReply reads one.
func ParseReply(r *kgo.Record) (Reply, error) {
	reply := Reply{ID: string(r.Key)}
	for _, h := range r.Headers {
		if h.Key != HeaderReply {
			continue
		}
		switch string(h.Value) {
		case replyVerdict:
			reply.Payload = r.Value
			return reply, nil
		case replyRefusal:
			reply.Refusal = &Refusal{}
			if err := json.Unmarshal(r.Value, reply.Refusal); err != nil {
				return reply, fmt.Errorf("%s partition %d offset %d: %w", r.Topic, r.Partition, r.Offset, err)
			}
			return reply, nil
		}
	}
	return reply, fmt.Errorf("%s partition %d offset %d: %w", r.Topic, r.Partition, r.Offset, errors.New("it is no reply"))
}
