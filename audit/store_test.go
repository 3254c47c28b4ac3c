package audit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"github.com/mlmonitor/mlmonitor/test/rig"
)

const topic = "verdicts"

func appended(t *testing.T, s Store, batches ...Batch) {
	t.Helper()
	if err := s.Append(t.Context(), topic, batches); err != nil {
		t.Fatal(err)
	}
}

func offsets(t *testing.T, s Store) map[int32]int64 {
	t.Helper()
	o, err := s.Offsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestRowsAndOffsetsMoveTogether(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		s := b.open(t)
		if err := s.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := offsets(t, s); len(got) != 0 {
			t.Errorf("a new database stands at %v", got)
		}
		appended(t, s, stretch(t, 4, 0, 17, 18), stretch(t, 0, 0, 5)) // a partition need not begin at 0
		appended(t, s, stretch(t, 4, 19, 30))                         // nor go on without gaps: markers take offsets
		if diff := cmp.Diff(map[int32]int64{0: 6, 4: 31}, offsets(t, s)); diff != "" {
			t.Error(diff)
		}
		if other, err := s.Offsets(t.Context(), "another topic"); err != nil || len(other) != 0 {
			t.Errorf("another topic stands at %v, %v", other, err)
		}
		want := []string{}
		for _, row := range []Row{stretch(t, 0, 0, 5).Rows[0], stretch(t, 4, 0, 17).Rows[0], stretch(t, 4, 0, 18).Rows[0], stretch(t, 4, 0, 30).Rows[0]} {
			p := 4
			if row.Offset == 5 {
				p = 0
			}
			want = append(want, fmt.Sprintf("%d %d %s", p, row.Offset, row.Payload))
		}
		if diff := cmp.Diff(want, b.rows(t)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestABatchThatDoesNotContinueIsFencedAndLeavesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		s := b.open(t)
		appended(t, s, stretch(t, 0, 0, 1, 2), stretch(t, 1, 0, 1))
		for name, late := range map[string]Batch{
			"passed":          stretch(t, 0, 0, 1, 2),
			"passed in part":  stretch(t, 0, 2, 2, 3),
			"leaves a gap":    stretch(t, 0, 5, 5),
			"thinks it first": stretch(t, 1, 0, 7),
		} {
			err := s.Append(t.Context(), topic, []Batch{stretch(t, 2, 0, 1), late})
			if !errors.Is(err, ErrFenced) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if diff := cmp.Diff(map[int32]int64{0: 3, 1: 2}, offsets(t, s)); diff != "" {
			t.Error(diff)
		}
		if n := len(b.rows(t)); n != 3 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestBatchesThatWouldCorruptTheOffsetsAreRefused(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		s := b.open(t)
		for name, batches := range map[string][]Batch{
			"backwards":     {{Partition: 0, From: 5, Next: 5}},
			"negative":      {{Partition: 0, From: -1, Next: 5}},
			"one partition": {stretch(t, 0, 0, 1), stretch(t, 0, 2, 3)},
		} {
			if err := s.Append(t.Context(), topic, batches); err == nil || errors.Is(err, ErrFenced) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got := offsets(t, s); len(got) != 0 {
			t.Errorf("offsets %v", got)
		}
	})
}

// The offsets are the mechanism; when somebody edits them, the key is the backstop.
func TestAnOffsetThatWasTurnedBackCannotDoubleARow(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		s := b.open(t)
		appended(t, s, stretch(t, 0, 0, 1, 2))
		if _, err := b.view.Exec(`UPDATE audit_offsets SET next_offset = 2`); err != nil {
			t.Fatal(err)
		}
		if err := s.Append(t.Context(), topic, []Batch{stretch(t, 0, 2, 2, 3)}); err == nil || errors.Is(err, ErrFenced) {
			t.Errorf("got %v", err)
		}
		if n := len(b.rows(t)); n != 2 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestPayloadsComeBackByteForByte(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		s := b.open(t)
		line := string(payload(t, verdict("tx", 1)))
		odd := []string{
			line,
			" \t" + strings.ReplaceAll(line, `,"`, " ,\n\t\""+"") + "\r\n",
			strings.Replace(line, `"tx"`, `"\u0074x\/\n\u00e9é\ud83d\ude00😀"`, 1),
			strings.Replace(line, `"tx"`, `"nul \u0000 inside"`, 1),
			strings.Replace(line, "0.4,", "4.000e-1,", 1),
			strings.Replace(line, `[]`, `["missing:a b","outside:\"x\""]`, 1),
			strings.Replace(line, "-0.40546510810816444", "1.7976931348623157e308", 1),
		}
		batch := Batch{}
		for i, p := range odd {
			batch.add(&kgo.Record{Offset: int64(i), Timestamp: published, Value: []byte(p)})
		}
		if len(batch.Rejects) > 0 {
			t.Fatalf("%q is no verdict: %s", batch.Rejects[0].Value, batch.Rejects[0].Reason)
		}
		appended(t, s, batch)
		want := []string{}
		for i, p := range odd {
			want = append(want, fmt.Sprintf("0 %d %s", i, p))
		}
		if diff := cmp.Diff(want, b.rows(t)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestColumnsSayWhatThePayloadSays(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		appended(t, b.open(t), stretch(t, 2, 0, 9))
		got := b.query(t, `SELECT topic, partition, "offset", transaction_id, decision, probability, margin, bundle_name, bundle_version, bundle_digest,
			source_topic, source_partition, source_offset FROM verdicts`, 13)
		want := []string{"verdicts 2 9 tx-2-9 review 0.4 -0.40546510810816444 sample 1 sha256:" + strings.Repeat("ab", 32) + " transactions 3 9"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		times := `SELECT published_at, event_time FROM verdicts`
		if b.postgres != (rig.Roles{}) {
			times = `SELECT to_char(published_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), to_char(event_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') FROM verdicts`
		}
		if diff := cmp.Diff([]string{"2026-11-23T14:00:00.123Z 2026-11-23T13:59:59.123456Z"}, b.query(t, times, 2)); diff != "" {
			t.Error(diff)
		}
	})
}

// A producer chooses key, timestamp and text: none may stop the stream.
func TestNoRecordIsTooOddToBeStored(t *testing.T) {
	hostile := []struct {
		name   string
		record kgo.Record
		row    bool
	}{
		{"no timestamp", kgo.Record{Timestamp: time.UnixMilli(-1)}, true},
		{"the first timestamp", kgo.Record{Timestamp: time.UnixMilli(-1 << 63)}, true},
		{"the last timestamp", kgo.Record{Timestamp: time.UnixMilli(1<<63 - 1)}, true},
		{"a key of any bytes", kgo.Record{Timestamp: published, Key: []byte{0, 255, '\\', '\''}}, true},
		{"a tombstone", kgo.Record{Timestamp: published, Key: []byte("k"), Value: []byte{}}, false},
		{"bytes", kgo.Record{Timestamp: published, Value: []byte{0, 0xff, 0xfe}}, false},
		{"JSON of another kind", kgo.Record{Timestamp: published, Value: []byte(`{"decision":"approve\u0000"}`)}, false},
		{"half a surrogate pair", kgo.Record{Timestamp: published, Value: []byte(`{"transaction_id":"\ud800"}`)}, false},
		{"a megabyte", kgo.Record{Timestamp: published, Value: []byte(strings.Repeat("x", 1<<20))}, false},
		{"an unknown field", kgo.Record{Timestamp: published, Value: []byte(`{"` + strings.Repeat(`\u0000`, 1000) + `":1}`)}, false},
	}
	onBoth(t, func(t *testing.T, b *bench) {
		s := b.open(t)
		long := verdict("tx", 1)
		long.Source.Topic = strings.Repeat("t", 5000) // longer than an index entry may be
		cases := append(slices.Clone(hostile), struct {
			name   string
			record kgo.Record
			row    bool
		}{"a source topic that Kafka cannot have", kgo.Record{Timestamp: published, Value: payload(t, long)}, false})
		for i, c := range cases {
			if c.row {
				c.record.Value = payload(t, verdict("tx", 1))
			}
			c.record.Offset = int64(i)
			batch := Batch{From: int64(i)}
			batch.add(&c.record)
			if (len(batch.Rows) == 1) != c.row || len(batch.Rows)+len(batch.Rejects) != 1 {
				t.Errorf("%s: %d rows, %d rejects", c.name, len(batch.Rows), len(batch.Rejects))
			}
			if err := s.Append(t.Context(), topic, []Batch{batch}); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			if !c.row {
				var key, value []byte
				var why string
				if err := b.view.QueryRow(fmt.Sprintf(`SELECT record_key, record_value, reason FROM audit_rejects WHERE "offset" = %d`, i)).Scan(&key, &value, &why); err != nil {
					t.Fatal(err)
				}
				if string(key) != string(c.record.Key) || string(value) != string(c.record.Value) || why == "" || len(why) > maxReasonBytes+10 {
					t.Errorf("%s: key %q, %d bytes, reason %q", c.name, key, len(value), why)
				}
			}
		}
		const within = `SELECT count(*) FROM verdicts WHERE published_at BETWEEN '0001-01-01T00:00:00.000Z' AND '9999-12-31T23:59:59.999Z'`
		if got := b.query(t, within, 1); got[0] != "4" {
			t.Errorf("%s rows have a time that both databases can say", got[0])
		}
	})
}

func TestOffsetsAreOfOneTopic(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		store := b.open(t)
		var first atomic.Int32
		var all sync.WaitGroup
		for i := range 8 { // that come first together
			all.Go(func() {
				if store.Claim(t.Context(), "verdicts", fmt.Sprint(i%2)) == nil {
					first.Add(1)
				}
			})
		}
		all.Wait()
		if n := first.Load(); n != 4 {
			t.Errorf("%d of 8 writers of two topics may write: want the 4 of one", n)
		}
		if err := store.Claim(t.Context(), "verdicts", "another"); !errors.Is(err, ErrRefused) {
			t.Errorf("a third: %v", err)
		}
		if err := store.Claim(t.Context(), "verdicts.2", "another"); err != nil {
			t.Error(err)
		}
	})
}

// Many writers, each with what it believes to be next, some late: the table ends with each row once.
func TestConcurrentWritersNeverDoubleARow(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		const writers, end = 4, 120
		var all sync.WaitGroup
		for range writers {
			s := b.open(t)
			all.Go(func() {
				for {
					at, err := s.Offsets(context.Background(), topic)
					if err != nil {
						t.Error(err)
						return
					}
					var batches []Batch
					for _, p := range rand.Perm(3) { // every order: locks must not go round in a circle
						if from := at[int32(p)]; from < end {
							batches = append(batches, stretch(t, int32(p), from, from, from+1, from+2))
						}
					}
					if len(batches) == 0 {
						return
					}
					if err := s.Append(context.Background(), topic, batches); err != nil && !errors.Is(err, ErrFenced) {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		if got := b.query(t, `SELECT count(*), count(DISTINCT partition * 1000 + "offset") FROM verdicts`, 2); !cmp.Equal(got, []string{"360 360"}) {
			t.Errorf("rows and distinct rows: %v", got)
		}
	})
}

// The store is a state machine: whatever is asked of it, it holds the rows of the batches that it took, once, and the offsets of the last.
func TestTheStoreIsItsModel(t *testing.T) {
	claim := func(t *testing.T, b *bench) {
		s := b.open(t)
		rows, round := 0, 0
		rapid.Check(t, func(r *rapid.T) {
			round++
			name := fmt.Sprintf("topic-%d", round)
			next := map[int32]int64{}
			for range rapid.IntRange(1, 4).Draw(r, "appends") {
				fits, n := true, 0
				var batches []Batch
				for _, p := range rapid.SliceOfNDistinct(rapid.Int32Range(0, 3), 1, 3, rapid.ID).Draw(r, "partitions") {
					from := next[p] + rapid.SampledFrom([]int64{0, 0, 0, 0, 1, -1}).Draw(r, "error")
					if from < 0 {
						from = 0
					}
					fits = fits && from == next[p]
					first := from + rapid.Int64Range(0, 2).Draw(r, "gap")
					batches = append(batches, stretch(t, p, from, first, first+1+rapid.Int64Range(0, 2).Draw(r, "hole")))
					n += 2
				}
				err := s.Append(context.Background(), name, batches)
				if fits != (err == nil) || !fits && !errors.Is(err, ErrFenced) {
					r.Fatalf("fits: %v, error: %v", fits, err)
				}
				if fits {
					rows += n
					for _, b := range batches {
						next[b.Partition] = b.Next
					}
				}
			}
			if stored, err := s.Offsets(context.Background(), name); err != nil || !cmp.Equal(next, stored) {
				r.Fatalf("stands at %v, want %v: %v", stored, next, err)
			}
		})
		if got := b.query(t, `SELECT count(*) FROM verdicts`, 1); got[0] != fmt.Sprint(rows) {
			t.Errorf("%s rows, want %d", got[0], rows)
		}
	}
	onBoth(t, claim)
}

func TestCountIsTheNumberOfVerdicts(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		b2 := stretch(t, 0, 0, 1, 2)
		b2.Rejects = []Reject{{Offset: 3, PublishedAt: published, Reason: "no verdict"}}
		b2.Next = 4
		appended(t, b.open(t), b2)
		cfg := b.owner
		s, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if n, err := s.Count(t.Context()); n != 2 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}

func TestADatabaseWithoutTablesIsRefusedWithTheRemedy(t *testing.T) {
	claim := func(t *testing.T, url string) {
		s, err := Open(t.Context(), config(url))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Ping(t.Context()); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "mlmonitor migrate") {
			t.Errorf("ping: %v", err)
		}
		if err := s.Append(t.Context(), topic, []Batch{stretch(t, 0, 0, 1)}); !errors.Is(err, ErrRefused) {
			t.Errorf("append: %v", err)
		}
	}
	t.Run("sqlite", func(t *testing.T) { claim(t, "sqlite:"+t.TempDir()+"/new.db") })
	t.Run("postgres", func(t *testing.T) {
		claim(t, rig.Postgres(t).Database(t).OwnerURL)
	})
}
