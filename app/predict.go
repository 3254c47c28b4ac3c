package app

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/scorer"
)

// refusal is what stands in place of a verdict.
type refusal struct {
	Source  schemas.Source `json:"source"`
	Class   schemas.Class  `json:"class"`
	Message string         `json:"message"`
}

// PredictEvents writes what a scorer would publish of each event, one line each in their order: the verdict, or the reason why it would be a dead letter. The source is what names
// them, and their number from 0.
func PredictEvents(b *scorer.Bundle, what string, events Events, w io.Writer) error {
	out := bufio.NewWriterSize(w, 1<<20)
	s := b.NewScorer()
	next := schemas.Source{Topic: what}
	waiting := 0
	var line []byte
	flush := func() error {
		outcomes, err := s.Score()
		if err != nil {
			return err
		}
		for i := range outcomes {
			o := &outcomes[i]
			if line = line[:0]; o.Err != nil {
				line, err = json.Marshal(refusal{next, o.Err.Class, o.Err.Error()})
			} else {
				o.Verdict.Source = next
				line, err = o.Verdict.Append(line)
			}
			if err != nil {
				return err
			}
			if _, err := out.Write(append(line, '\n')); err != nil {
				return err
			}
			next.Offset++
		}
		s.Reset()
		waiting = 0
		return nil
	}
	err := events(func(event []byte, timestamp time.Time) error {
		s.Add(event, timestamp)
		if waiting++; waiting == scoredAtOnce {
			return flush()
		}
		return nil
	})
	return errors.Join(err, flush(), out.Flush())
}
