package replay

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/mlmonitor/mlmonitor/kafka"
)

// maxLabels bounds the memory of labels: some 40 bytes each.
const maxLabels = 50_000_000

// LabelCounts says what became of the labels, and of the transactions that they are for.
type LabelCounts struct {
	Read        int64 `json:"read"`        // lines or records
	Malformed   int64 `json:"malformed"`   // without a transaction id, a label of 0 or 1, or a time that is one
	Duplicates  int64 `json:"duplicates"`  // said again what was said
	Conflicting int64 `json:"conflicting"` // transactions whose labels contradict each other, none later than the others: left out
	Corrected   int64 `json:"corrected"`   // transactions for which a later label counts
	Unknown     int64 `json:"unknown"`     // labels of no transaction of the range

	Labelled   int64 `json:"labelled"`   // mature transactions with a label
	Unlabelled int64 `json:"unlabelled"` // mature ones without
	Immature   int64 `json:"immature"`   // transactions too young for a label to be final; they count nowhere
}

// Merge adds another part's; Labels are counted once, by whoever has them.
func (c *LabelCounts) Merge(o *LabelCounts) {
	c.Labelled += o.Labelled
	c.Unlabelled += o.Unlabelled
	c.Immature += o.Immature
}

type label uint8

const (
	honest label = iota + 1
	fraud
	contradictory
)

type known struct {
	label label
	place int32 // in found
	at    int64 // when it was given, Unix milliseconds; 0: nobody says
}

// Labels are those of transactions, by a hash of 64 bits of their id: of a hundred million, two share one with probability 0.0003.
type Labels struct {
	Name   string
	Counts LabelCounts
	Newest time.Time // when the newest was given; zero where they have no times
	byID   map[uint64]known
	found  []atomic.Uint32 // a bit each: a transaction has it
}

// ReadLabels reads a CSV with a header: transaction_id, label (0 or 1) or fraud_kind (empty: honest), and perhaps labelled_at (RFC 3339); or JSON lines of the same names; .gz and .zst too.
func ReadLabels(name string) (*Labels, error) {
	l := &Labels{Name: "file " + filepath.Base(name), byID: map[uint64]known{}}
	base := strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".zst")
	if strings.HasSuffix(base, ".json") || strings.HasSuffix(base, ".jsonl") || strings.HasSuffix(base, ".parquet") {
		if err := eachEvent(name, l.record); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return l.sealed(), nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, done, err := unpacked(name, file)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := l.csv(text); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return l.sealed(), nil
}

// TopicLabels reads a topic of JSON records: transaction_id, label (0, 1, true or false), and perhaps labelled_at (RFC 3339); without it the record's timestamp is when it was given.
func TopicLabels(ctx context.Context, cfg *kafka.Config, topic string) (*Labels, error) {
	l := &Labels{Name: "topic " + topic, byID: map[uint64]known{}}
	whole, err := kafka.Whole(ctx, cfg, topic)
	if err != nil {
		return nil, err
	}
	if err := kafka.Read(ctx, cfg, topic, whole, func(r *kafka.Record) error { return l.parse(r.Value, r.Timestamp) }); err != nil {
		return nil, err
	}
	return l.sealed(), nil
}

func (l *Labels) csv(text io.Reader) error {
	table := csv.NewReader(bufio.NewReaderSize(text, 1<<20))
	table.ReuseRecord, table.FieldsPerRecord = true, -1
	header, err := table.Read()
	if err != nil {
		return fmt.Errorf("read the header: %w", err)
	}
	header = slices.Clone(header)
	id, value, kind, at := slices.Index(header, "transaction_id"), slices.Index(header, "label"), slices.Index(header, "fraud_kind"), slices.Index(header, "labelled_at")
	if id < 0 || value < 0 && kind < 0 {
		return fmt.Errorf("the header is %s: transaction_id and label, or fraud_kind, are needed", strings.Join(header, ","))
	}
	for {
		line, err := table.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil || len(line) != len(header) {
			var parse *csv.ParseError
			if err != nil && !errors.As(err, &parse) {
				return err
			}
			l.Counts.Read++
			l.Counts.Malformed++
			continue
		}
		is, ok := honest, true
		switch {
		case value >= 0:
			is, ok = labelOf(line[value])
		case line[kind] != "":
			is = fraud
		}
		var when time.Time
		if at >= 0 && line[at] != "" {
			if when, err = time.Parse(time.RFC3339, line[at]); err != nil {
				ok = false
			}
		}
		if err := l.add(line[id], is, ok, when); err != nil {
			return err
		}
	}
}

func labelOf(text string) (label, bool) {
	switch text {
	case "0", "false":
		return honest, true
	case "1", "true":
		return fraud, true
	}
	return honest, false
}

func (l *Labels) record(line []byte) error { return l.parse(line, time.Time{}) }

func (l *Labels) parse(line []byte, stamp time.Time) error {
	var one struct {
		ID    any             `json:"transaction_id"`
		Label json.RawMessage `json:"label"`
		At    *time.Time      `json:"labelled_at"`
	}
	err := json.Unmarshal(line, &one)
	id := ""
	switch v := one.ID.(type) {
	case string:
		id = v
	case float64:
		id = strings.TrimSpace(string(mustJSON(v)))
	}
	is, ok := labelOf(string(one.Label))
	if one.At != nil {
		stamp = *one.At
	}
	return l.add(id, is, ok && err == nil, stamp)
}

func mustJSON(v float64) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return text
}

func (l *Labels) add(id string, is label, ok bool, at time.Time) error {
	l.Counts.Read++
	if !ok || id == "" {
		l.Counts.Malformed++
		return nil
	}
	hash := xxhash.Sum64String(id)
	now := known{label: is, place: int32(len(l.byID))}
	if !at.IsZero() {
		now.at = at.UnixMilli()
		if at.After(l.Newest) {
			l.Newest = at.UTC()
		}
	}
	before, there := l.byID[hash]
	if there {
		now.place = before.place
	}
	switch {
	case !there:
		if len(l.byID) == maxLabels {
			return fmt.Errorf("more than %d labels: replay a part of the time with the labels of it", maxLabels)
		}
		l.byID[hash] = now
	case before.label == is && before.at == now.at:
		l.Counts.Duplicates++
	case before.label == is:
		l.Counts.Duplicates++
		if now.at > before.at {
			l.byID[hash] = now
		}
	case now.at > before.at && before.at != 0: // a later word counts
		l.Counts.Corrected++
		if before.label == contradictory {
			l.Counts.Conflicting--
		}
		l.byID[hash] = now
	case now.at < before.at && now.at != 0:
		l.Counts.Corrected++
	case before.label != contradictory:
		l.Counts.Conflicting++
		before.label = contradictory
		l.byID[hash] = before
	}
	return nil
}

// of gives the label of a transaction, and takes note that there is one; 0 for none. It may be called by several at once, when all labels are read.
func (l *Labels) of(id []byte) label {
	one, ok := l.byID[xxhash.Sum64(id)]
	if !ok {
		return 0
	}
	word, bit := &l.found[one.place/32], uint32(1)<<(one.place%32)
	if word.Load()&bit == 0 {
		word.Or(bit)
	}
	return one.label
}

// sealed makes labels ready to be asked for.
func (l *Labels) sealed() *Labels {
	l.found = make([]atomic.Uint32, len(l.byID)/32+1)
	return l
}

// unknown counts the labels of no transaction that was asked for.
func (l *Labels) unknown() int64 {
	n := int64(len(l.byID))
	for i := range l.found {
		n -= int64(bits.OnesCount32(l.found[i].Load()))
	}
	return n
}
