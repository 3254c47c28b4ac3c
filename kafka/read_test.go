package kafka

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestARangeOfTimeIsThatOfItsRecords(t *testing.T) {
	broker, err := StartEmbedded(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	cfg := &Config{Brokers: broker.Brokers(), Transactions: "transactions", Verdicts: "verdicts", DeadLetters: "transactions.dlq"}
	if _, err := LayOut(t.Context(), cfg, Layout{Partitions: 2, Replication: -1}, false); err != nil {
		t.Fatal(err)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(broker.Brokers()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	at := func(second int) time.Time { return time.Unix(1_700_000_000+int64(second), 0) }
	for i := range 20 {
		r := &kgo.Record{Topic: "transactions", Partition: int32(i % 2), Timestamp: at(i), Value: fmt.Append(nil, i)}
		if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		from, to time.Time
		want     int64
	}{
		{time.Time{}, time.Time{}, 20}, {at(5), time.Time{}, 15}, {time.Time{}, at(5), 5}, {at(5), at(15), 10}, {at(99), time.Time{}, 0},
		{time.Unix(-1e9, 0), time.Time{}, 20}, {time.Time{}, time.Unix(-1e9, 0), 0}, {time.Unix(-2, 0), at(3), 3}, // before 1970
	} {
		r, err := Between(t.Context(), cfg, "transactions", c.from, c.to)
		if err != nil || r.Len() != c.want {
			t.Errorf("%v to %v: %d records, %v, want %d", c.from, c.to, r.Len(), err, c.want)
		}
	}
	// The latest of it.
	r, err := Between(t.Context(), cfg, "transactions", time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	r.Latest(6)
	var got []string
	err = Read(t.Context(), cfg, "transactions", r, func(rec *Record) error {
		got = append(got, string(rec.Value))
		return nil
	})
	slices.Sort(got)
	if want := "[14 15 16 17 18 19]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("%v, %v", got, err)
	}
}

func TestTheLatestOfUnevenPartitions(t *testing.T) {
	for _, c := range []struct {
		lengths []int64
		most    int64
		want    []int64
	}{
		{[]int64{10, 10}, 6, []int64{3, 3}}, {[]int64{1, 10}, 6, []int64{1, 5}}, {[]int64{10, 1, 0}, 6, []int64{5, 1, 0}}, {[]int64{2, 2}, 100, []int64{2, 2}}, {[]int64{7}, 0, []int64{0}}, {nil, 5, nil},
	} {
		r := Range{map[int32]int64{}, map[int32]int64{}}
		for p, n := range c.lengths {
			r.From[int32(p)], r.To[int32(p)] = 100, 100+n
		}
		r.Latest(c.most)
		for p, want := range c.want {
			if got := r.To[int32(p)] - r.From[int32(p)]; got != want || r.To[int32(p)] != 100+c.lengths[p] {
				t.Errorf("%v of %v: partition %d has %d, want %d", c.most, c.lengths, p, got, want)
			}
		}
	}
}
