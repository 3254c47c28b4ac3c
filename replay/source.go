package replay

import (
	"bufio"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"

	"github.com/mlmonitor/mlmonitor/kafka"
)

// Input is one transaction as it came. It is valid until the function that it is given to returns.
type Input struct {
	Key, Value []byte
	Timestamp  time.Time // of its record; zero in a file
	Partition  int32
	Offset     int64
}

// Part is a part of a source that is read in order, beside the others.
type Part struct {
	Partition int32
	From, To  int64 // offsets, To not included; 0 and 0 for a file
	read      func(ctx context.Context, each func(*Input) error) error
}

// Source is what is replayed.
type Source struct {
	Name  string // such as the topic
	Topic string // of the inputs, in what their verdicts name
	Parts []Part
	Total int64 // inputs, about; 0 where nobody knows
	topic bool
}

// FromTopic reads a range of a topic; each partition is a part. It is in no group, and leaves nothing behind.
func FromTopic(cfg *kafka.Config, topic string, r kafka.Range) *Source {
	s := &Source{Name: "topic " + topic, Topic: topic, Total: r.Len(), topic: true}
	for _, p := range slices.Sorted(maps.Keys(r.To)) {
		from, to := r.From[p], r.To[p]
		if from >= to {
			continue
		}
		one := kafka.Range{From: map[int32]int64{p: from}, To: map[int32]int64{p: to}}
		s.Parts = append(s.Parts, Part{p, from, to, func(ctx context.Context, each func(*Input) error) error {
			var in Input
			return kafka.Read(ctx, cfg, topic, one, func(rec *kafka.Record) error {
				in = Input{rec.Key, rec.Value, rec.Timestamp, rec.Partition, rec.Offset}
				return each(&in)
			})
		}})
	}
	return s
}

// maxLine is the longest line of a file, in bytes: an event that is too large is a dead letter, a file without ends of lines an error.
const maxLine = 16 << 20

// linesAtOnce is how many lines of a file go from its reader to a worker at once.
const linesAtOnce = 1024

// FromFile reads a file of events: JSON lines, plain, .gz or .zst, or Parquet with a column value, and perhaps key. Its lines are dealt out to so many parts; the offset of an event is its line, from 0.
func FromFile(name string, parts int) *Source {
	s := &Source{Name: "file " + filepath.Base(name), Topic: filepath.Base(name)}
	type block struct {
		first  int64
		lines  []byte // all of them
		starts []int
	}
	blocks := make(chan *block, parts)
	var once sync.Once
	var failed error
	reader := func(ctx context.Context) {
		defer close(blocks)
		now, line := &block{}, int64(0)
		send := func() error {
			if len(now.starts) == 0 {
				return nil
			}
			select {
			case blocks <- now:
			case <-ctx.Done():
				return ctx.Err()
			}
			now = &block{first: line}
			return nil
		}
		failed = eachEvent(name, func(value []byte) error {
			now.starts = append(now.starts, len(now.lines))
			now.lines = append(now.lines, value...)
			line++
			if len(now.starts) == linesAtOnce {
				return send()
			}
			return nil
		})
		if failed == nil {
			failed = send()
		}
	}
	for i := range parts {
		s.Parts = append(s.Parts, Part{int32(i), 0, 0, func(ctx context.Context, each func(*Input) error) error {
			once.Do(func() { go reader(ctx) })
			var in Input
			for b := range blocks {
				for j, start := range b.starts {
					end := len(b.lines)
					if j+1 < len(b.starts) {
						end = b.starts[j+1]
					}
					in = Input{Value: b.lines[start:end], Offset: b.first + int64(j)}
					if err := each(&in); err != nil {
						return err
					}
				}
			}
			if failed != nil { // written before blocks was closed
				return fmt.Errorf("%s: %w", name, failed)
			}
			return nil
		}})
	}
	return s
}

func eachEvent(name string, each func([]byte) error) error {
	file := os.Stdin
	if name != "-" {
		var err error
		if file, err = os.Open(name); err != nil {
			return err
		}
		defer file.Close()
	}
	if strings.HasSuffix(name, ".parquet") {
		return eachParquet(file, each)
	}
	text, done, err := unpacked(name, file)
	if err != nil {
		return err
	}
	defer done()
	lines := bufio.NewScanner(text)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	for n := 1; lines.Scan(); n++ {
		if err := each(lines.Bytes()); err != nil {
			return err
		}
	}
	return lines.Err()
}

// unpacked reads a file whose name says how it is packed.
func unpacked(name string, file io.Reader) (text io.Reader, done func(), err error) {
	switch {
	case strings.HasSuffix(name, ".gz"):
		z, err := gzip.NewReader(file)
		if err != nil {
			return nil, nil, err
		}
		return z, func() { z.Close() }, nil
	case strings.HasSuffix(name, ".zst"):
		z, err := zstd.NewReader(file, zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	}
	return file, func() {}, nil
}

// eachParquet reads the column value of a table.
func eachParquet(file *os.File, each func([]byte) error) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	table, err := parquet.OpenFile(file, info.Size())
	if err != nil {
		return err
	}
	leaf, ok := table.Schema().Lookup("value")
	if !ok {
		return fmt.Errorf("there is no plain column %q with the events' JSON", "value")
	}
	rows := parquet.NewReader(table)
	defer rows.Close()
	buffer := make([]parquet.Row, 256)
	for {
		n, err := rows.ReadRows(buffer)
		for _, cells := range buffer[:n] {
			var value []byte
			for _, cell := range cells {
				if cell.Column() == leaf.ColumnIndex && !cell.IsNull() {
					value = cell.ByteArray()
				}
			}
			if err := each(value); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}
