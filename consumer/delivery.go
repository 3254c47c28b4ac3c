package consumer

import (
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"
)

// delivery is what became of the records of one transaction: the first error, if one failed.
type delivery struct {
	done  func(*kgo.Record, error) // the promise of every record; made once, it would be allocated for each
	first atomic.Pointer[error]
}

// begin makes ready for the records of the next transaction.
func (d *delivery) begin() {
	if d.done == nil {
		d.done = func(_ *kgo.Record, err error) {
			if err != nil {
				failure := err // not err itself, which would then be allocated for every record
				d.first.CompareAndSwap(nil, &failure)
			}
		}
	}
	d.first.Store(nil)
}

// err is valid once the client has flushed.
func (d *delivery) err() error {
	if first := d.first.Load(); first != nil {
		return *first
	}
	return nil
}
