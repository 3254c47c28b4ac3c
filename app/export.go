package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/mlmonitor/mlmonitor/kafka"
)

// Export writes the values of a topic's range as JSON lines, in offset order within a partition, and calls seen after each. A value that spreads over several lines is written as one;
// skipped are those that are empty, or no JSON and more than one line.
func Export(ctx context.Context, topics *kafka.Config, topic string, r kafka.Range, w io.Writer, seen func()) (written, skipped int64, err error) {
	out := bufio.NewWriterSize(w, 1<<20)
	var compact bytes.Buffer
	err = kafka.Read(ctx, topics, topic, r, func(in *kafka.Record) error {
		seen()
		value := in.Value
		if bytes.ContainsAny(value, "\r\n") {
			compact.Reset()
			if json.Compact(&compact, value) != nil {
				skipped++
				return nil
			}
			value = compact.Bytes()
		}
		if len(value) == 0 {
			skipped++
			return nil
		}
		written++
		_, err := out.Write(value)
		return errors.Join(err, out.WriteByte('\n'))
	})
	return written, skipped, errors.Join(err, out.Flush())
}
