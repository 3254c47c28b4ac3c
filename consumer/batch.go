package consumer

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// batch is the input of one transaction: runs of records, those of one partition in offset order. The records are the client's.
type batch struct {
	runs           []run
	records, bytes int
	began          time.Time // when the first records came
	polled         int       // records and markers of transactions: those are passed over, and their offsets committed
}

// run is what one poll gave of one partition.
type run struct {
	partition int32
	inputs    []*kgo.Record
}

func (b *batch) reset() {
	clear(b.runs) // the records are free to go
	*b = batch{runs: b.runs[:0]}
}

// add takes what one poll gave of one partition.
func (b *batch) add(p kgo.FetchTopicPartition) {
	b.polled += len(p.Records)
	inputs := slices.DeleteFunc(p.Records, func(r *kgo.Record) bool { return r.Attrs.IsControl() })
	if len(inputs) == 0 {
		return
	}
	b.runs = append(b.runs, run{p.Partition, inputs})
	b.records += len(inputs)
	for _, r := range inputs {
		b.bytes += len(r.Key) + len(r.Value)
	}
}
