package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mlmonitor/mlmonitor/schemas"
)

// ErrFenced means that another writer has moved the offsets of a partition: the batch does not continue what is stored, and nothing of it
// was written. Read the offsets again, and go on from there.
var ErrFenced = errors.New("another audit writer has moved the offsets")

// ErrRefused marks a database error that no waiting mends: a wrong password, a missing table or grant. The text says what to do.
var ErrRefused = errors.New("the audit database refuses")

// Store keeps verdicts and the position up to which they are written. Postgres and SQLite are its implementations, and pass one suite.
type Store interface {
	// Offsets gives, for each partition of the topic that was ever written, the offset of the next record to write.
	Offsets(ctx context.Context, topic string) (map[int32]int64, error)
	// Claim takes note that the offsets of the topic are those of the topic with this id; ErrRefused when they are those of another, which had the same name.
	Claim(ctx context.Context, topic, id string) error
	// Claimed gives the id that was claimed for the topic; empty when none was.
	Claimed(ctx context.Context, topic string) (id string, err error)
	// Append writes the batches, at most one a partition, and moves the offsets, in one transaction. ErrFenced when a batch does not begin
	// where the stored offset stands. After any other error the transaction may or may not have committed: Offsets tells.
	Append(ctx context.Context, topic string, batches []Batch) error
	// Count gives the number of verdicts. The writer's role may not; the reader's may.
	Count(ctx context.Context) (int64, error)
	// Ping asks whether the writer could write now; ErrRefused when that needs a human.
	Ping(ctx context.Context) error
	// Close ends the connections.
	Close() error
}

// Batch is a stretch of one partition of the verdicts topic.
type Batch struct {
	Partition int32
	From      int64 // where the reader stood before the batch: the stored offset, 0 when none is stored
	Next      int64 // where it stands after; above the last offset of rows and rejects
	Rows      []Row
	Rejects   []Reject
}

// Row is a verdict and where it stood in the topic.
type Row struct {
	Offset      int64
	PublishedAt time.Time // the record's timestamp: that of the transaction's record
	Key         []byte    // the record's key
	Payload     []byte    // the record's value, kept byte for byte
	Verdict     schemas.Verdict
}

// Reject is a record of the verdicts topic that is no verdict: somebody else wrote there.
type Reject struct {
	Offset      int64
	PublishedAt time.Time
	Key, Value  []byte
	Reason      string
}

// sameTopic compares the id of a topic with the one that its offsets are of.
func sameTopic(topic, id, stored string) error {
	if id == stored {
		return nil
	}
	return fmt.Errorf("%w: topic %s was made anew: the offsets and rows of that name are of the topic with id %s, it has %s now, and its first verdicts would pass for audited: "+
		"give the new topic a new name (KAFKA_TOPIC_VERDICTS), or see \"A topic that was made anew\" in docs/audit.md", ErrRefused, topic, stored, id)
}

// checkBatches refuses what would corrupt the offsets.
func checkBatches(batches []Batch) error {
	seen := map[int32]bool{}
	for _, b := range batches {
		if seen[b.Partition] || b.From < 0 || b.Next <= b.From {
			return fmt.Errorf("append partition %d: offsets %d to %d: a batch must be the only one of its partition and move forward", b.Partition, b.From, b.Next)
		}
		seen[b.Partition] = true
	}
	return nil
}

// fence compares the stored offsets with where the batches begin.
func fence(topic string, batches []Batch, stored map[int32]int64) error {
	for _, b := range batches {
		if at := stored[b.Partition]; at != b.From {
			return fmt.Errorf("%w: %s partition %d stands at %d, not at %d", ErrFenced, topic, b.Partition, at, b.From)
		}
	}
	return nil
}
