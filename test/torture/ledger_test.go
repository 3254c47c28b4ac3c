package torture

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// book is a ledger with what it reported, by check.
type book struct {
	*Ledger
	found map[string]int
}

func newBook() *book {
	b := &book{found: map[string]int{}}
	b.Ledger = NewLedger(func(check, _ string) { b.found[check]++ })
	return b
}

var start = time.Unix(1_800_000_000, 0)

func at(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }

// verdict is the answer to an offset.
func verdict(offset int64) *Answer {
	return &Answer{Key: []byte("k"), Timestamp: 7, Value: fmt.Append(nil, "verdict of ", offset)}
}

func TestALedgerFindsWhatIsWrong(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(b *book)
		want map[string]int
	}{
		{"all is well", func(b *book) { b.Answered(0, 0, 1, at(2), verdict(1)) }, map[string]int{}},
		{"lost", func(*book) {}, map[string]int{"lost": 1}},
		{"doubled", func(b *book) {
			b.Answered(0, 0, 1, at(2), verdict(1))
			b.Answered(0, 0, 1, at(3), verdict(1))
		}, map[string]int{"doubled": 1, "order": 1}},
		{"a verdict and a dead letter", func(b *book) {
			b.Answered(0, 0, 1, at(2), verdict(1))
			b.Answered(0, 0, 1, at(3), &Answer{Dead: true, Key: []byte("k"), Timestamp: 7})
		}, map[string]int{"doubled": 1, "payload": 1}},
		{"other bytes", func(b *book) { b.Answered(0, 0, 1, at(2), verdict(2)) }, map[string]int{"payload": 1}},
		{"another key", func(b *book) {
			a := verdict(1)
			a.Key = []byte("l")
			b.Answered(0, 0, 1, at(2), a)
		}, map[string]int{"payload": 1}},
		{"another time", func(b *book) {
			a := verdict(1)
			a.Timestamp++
			b.Answered(0, 0, 1, at(2), a)
		}, map[string]int{"payload": 1}},
		{"dead instead of a verdict", func(b *book) {
			a := verdict(1)
			a.Dead = true
			b.Answered(0, 0, 1, at(2), a)
		}, map[string]int{"payload": 1}},
		{"in another partition", func(b *book) { b.Answered(3, 0, 1, at(2), verdict(1)) }, map[string]int{"place": 1}},
		{"to no input", func(b *book) {
			b.Answered(0, 0, 1, at(2), verdict(1))
			b.Answered(0, 0, 9, at(2), verdict(9))
		}, map[string]int{"foreign": 1}},
		{"out of order", func(b *book) {
			b.Input(0, 2, at(1), verdict(2))
			b.Answered(0, 0, 2, at(2), verdict(2))
			b.Answered(0, 0, 1, at(2), verdict(1))
		}, map[string]int{"order": 1}},
	} {
		b := newBook()
		b.Input(0, 0, at(0), verdict(0))
		b.Answered(0, 0, 0, at(1), verdict(0))
		b.Input(0, 1, at(1), verdict(1))
		tc.do(b)
		b.Close()
		if diff := cmp.Diff(tc.want, b.found); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
	}
}

func TestAnAnswerMayBeReadBeforeItsInput(t *testing.T) {
	b := newBook()
	b.Answered(0, 0, 0, at(0), verdict(0))
	b.Input(0, 0, at(1), verdict(0))
	b.Answered(0, 0, 1, at(2), verdict(0))
	b.Input(0, 1, at(3), verdict(1))
	b.Close()
	if diff := cmp.Diff(map[string]int{"payload": 1}, b.found); diff != "" {
		t.Error(diff)
	}
}

func TestAStallIsTheTimeThatAWaitingReaderGotNothing(t *testing.T) {
	b := newBook()
	b.Input(0, 0, at(0), verdict(0))
	b.Answered(0, 0, 0, at(10), verdict(0)) // 10 ms: not worth keeping
	b.Input(0, 1, at(1000), verdict(1))     // nobody waited for the second before it
	b.Input(0, 2, at(1100), verdict(2))
	b.Answered(0, 0, 1, at(1400), verdict(1))
	b.Answered(0, 0, 2, at(1410), verdict(2))
	b.Input(1, 0, at(1405), verdict(0))
	b.Answered(1, 1, 0, at(1500), verdict(0))
	for _, tc := range []struct {
		from, to int
		want     time.Duration
	}{{0, 2000, 400 * time.Millisecond}, {0, 1399, 0}, {1400, 1500, 95 * time.Millisecond}, {0, 1400, 400 * time.Millisecond}} {
		if got := b.Longest(at(tc.from), at(tc.to)); got != tc.want {
			t.Errorf("between %d and %d ms: %v, want %v", tc.from, tc.to, got, tc.want)
		}
	}
}

func TestWaitingCountsInputsBelowAMark(t *testing.T) {
	b := newBook()
	b.Input(0, 0, at(0), verdict(0))
	b.Input(0, 2, at(0), verdict(2)) // offset 1 holds no input
	m := b.Mark()
	b.Input(0, 3, at(0), verdict(3))
	for i, want := range []int{2, 1, 0} {
		if got := b.Waiting(m); got != want {
			t.Errorf("%d wait, want %d", got, want)
		}
		b.Answered(0, 0, []int64{0, 2, 3}[i], at(1), verdict([]int64{0, 2, 3}[i]))
	}
}
