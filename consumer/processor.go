package consumer

import (
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/scorer"
)

// processor turns the inputs of one partition into rows, in offset order. It is made when the partition is assigned, dropped when it is revoked,
// and made anew after an aborted transaction. It holds nothing yet: state that rows will depend on one day, such as velocity features, is a
// function of the log up to the last committed batch, and lives here.
type processor struct{}

// add decodes one input into a batch.
func (*processor) add(batch *scorer.Scorer, in *kgo.Record) { batch.Add(in.Value, in.Timestamp) }
