package replay

import (
	"errors"
	"os"
	"sync"
	"time"

	"github.com/parquet-go/parquet-go"
)

// Row is a line of the Parquet file of a replay.
type Row struct {
	TransactionID string    `parquet:"transaction_id"`
	Partition     int32     `parquet:"partition"`
	Offset        int64     `parquet:"offset"`
	EventTime     time.Time `parquet:"event_time,timestamp(millisecond)"`
	Amount        float64   `parquet:"amount"`
	Decision      string    `parquet:"decision,dict"` // the candidate's
	Probability   float64   `parquet:"probability"`
	Margin        float64   `parquet:"margin"`
	Refusal       string    `parquet:"refusal,dict"` // reason class; then it has no decision
	BaseDecision  *string   `parquet:"base_decision,optional,dict"`
	BaseChance    *float64  `parquet:"base_probability,optional"`
	BaseDigest    *string   `parquet:"base_bundle,optional,dict"`
	Fraud         *bool     `parquet:"fraud,optional"` // null where the label is not known, or not mature
}

// Table writes answers to a Parquet file.
type Table struct {
	mu     sync.Mutex
	file   *os.File
	name   string
	writer *parquet.GenericWriter[Row]
	rows   []Row
}

// rowsAtOnce are gathered before they are written, and rowGroup of a group.
const (
	rowsAtOnce = 4096
	rowGroup   = 200_000
)

// NewTable makes a file beside name, which gets its name when it is closed.
func NewTable(name string) (*Table, error) {
	file, err := os.Create(name + ".part")
	if err != nil {
		return nil, err
	}
	return &Table{file: file, name: name, writer: parquet.NewGenericWriter[Row](file, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(rowGroup))}, nil
}

// Add takes an answer in; it may be called by several at once.
func (t *Table) Add(a *Answer) error {
	row := Row{Partition: a.Input.Partition, Offset: a.Input.Offset, EventTime: a.EventTime, Amount: a.Amount}
	if a.Refusal != nil {
		row.Refusal = string(a.Refusal.Class)
	} else {
		v := a.Verdict
		row.TransactionID, row.Decision, row.Probability, row.Margin = string(v.TransactionID), string(v.Decision), v.Probability, v.Margin
	}
	if a.Base != nil {
		decision, chance, digest := string(a.Base.Decision), a.Base.Probability, a.Base.Bundle.Digest
		row.BaseDecision, row.BaseChance, row.BaseDigest = &decision, &chance, &digest
	}
	if a.Labelled {
		fraud := a.Fraud
		row.Fraud = &fraud
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rows = append(t.rows, row); len(t.rows) < rowsAtOnce {
		return nil
	}
	return t.flush()
}

func (t *Table) flush() error {
	_, err := t.writer.Write(t.rows)
	t.rows = t.rows[:0]
	return err
}

// Close finishes the file; one that is not whole is removed.
func (t *Table) Close(whole bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	err := errors.Join(t.flush(), t.writer.Close(), t.file.Close())
	if err != nil || !whole {
		return errors.Join(err, os.Remove(t.file.Name()))
	}
	return os.Rename(t.file.Name(), t.name)
}
