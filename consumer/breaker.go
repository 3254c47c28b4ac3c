package consumer

// breaker decides from counts alone whether dead letters are single bad records or a broken stream: it refuses a batch with which more
// than limit of the last window records would be dead letters. A short history counts as a full window of good records, so that a few bad
// records at the start do not stop a stream; a batch longer than the window is judged as a whole, so that good records behind bad ones count.
type breaker struct {
	limit  float64 // share, 0 to 1
	window int     // records
	last   []bool  // the last window records that were committed, oldest first: true for a dead letter
}

// ratio is the share of dead letters if the batch came next.
func (b *breaker) ratio(batch []bool) float64 {
	history := b.last[max(0, len(b.last)-max(0, b.window-len(batch))):]
	return float64(count(history)+count(batch)) / float64(max(b.window, len(batch)))
}

func count(dead []bool) (n int) {
	for _, d := range dead {
		if d {
			n++
		}
	}
	return n
}

// admits says whether the batch may be committed.
func (b *breaker) admits(batch []bool) bool { return b.ratio(batch) <= b.limit }

// add takes a committed batch into the history.
func (b *breaker) add(batch []bool) {
	batch = batch[max(0, len(batch)-b.window):]
	old := max(0, len(b.last)+len(batch)-b.window)
	b.last = append(append(b.last[:0], b.last[old:]...), batch...)
}
