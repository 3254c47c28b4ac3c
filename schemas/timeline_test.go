package schemas

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
)

func bundle(n int) BundleID {
	return BundleID{Name: "m", Version: fmt.Sprint(n), Digest: fmt.Sprintf("sha256:%064d", n)}
}

func TestTheLastEventThatNamesAPartitionAtOrBelowAnOffsetSaysWhoDecides(t *testing.T) {
	line := NewTimeline("in")
	for _, e := range []ModelEvent{
		{Bundle: bundle(1), Topic: "in", Offsets: map[int32]int64{0: 0, 1: 5}},
		{Bundle: bundle(2), Topic: "in"}, // has nothing to score
		{Bundle: bundle(3), Topic: "other", Offsets: map[int32]int64{0: 0, 1: 0}},
		{Bundle: bundle(2), Topic: "in", Offsets: map[int32]int64{0: 10}},
		{Bundle: bundle(1), Topic: "in", Offsets: map[int32]int64{0: 20}},
		{Bundle: bundle(2), Topic: "in", Offsets: map[int32]int64{0: 15}}, // what was aborted is said anew, from further back
	} {
		line.Add(&e)
	}
	for _, c := range []struct {
		partition int32
		offset    int64
		want      int // 0: nothing was said
	}{{0, 0, 1}, {0, 9, 1}, {0, 10, 2}, {0, 14, 2}, {0, 15, 2}, {0, 20, 2}, {0, 1e9, 2}, {1, 4, 0}, {1, 5, 1}, {2, 0, 0}} {
		got, ok := line.At(c.partition, c.offset, []byte("key"))
		if ok != (c.want > 0) || ok && got != bundle(c.want) {
			t.Errorf("partition %d offset %d is under %v, %t, want %d", c.partition, c.offset, got, ok, c.want)
		}
	}
}

func TestACanaryTakesItsShareOfTheKeysAndAlwaysTheSame(t *testing.T) {
	const keys = 100_000
	for _, share := range []float64{0.001, 0.05, 0.5} {
		a, again, other := NewChooser(Canary{bundle(1), share}), NewChooser(Canary{bundle(1), share}), NewChooser(Canary{bundle(2), share})
		taken, both := 0, 0
		for i := range keys {
			key := fmt.Appendf(nil, "c-%05d", i)
			t1, t2 := a.Takes(key), again.Takes(key)
			if t1 != t2 {
				t.Fatalf("%s is taken once, and once not", key)
			}
			if t1 {
				taken++
				if other.Takes(key) {
					both++
				}
			}
		}
		for what, n := range map[string]struct {
			got  int
			want float64
		}{"taken": {taken, keys * share}, "taken by two bundles": {both, keys * share * share}} {
			if math.Abs(float64(n.got)-n.want) > 5*math.Sqrt(n.want+1) {
				t.Errorf("share %v: %d keys are %s, want %v", share, n.got, what, n.want)
			}
		}
	}
	if NewChooser(Canary{bundle(1), 0.5}).Takes(nil) {
		t.Error("a record without a key is the canary's")
	}
	// By another implementation: int.from_bytes(hashlib.sha256(b"sha256:" + b"0"*63 + b"1" + b"c-00000").digest()[:8], "big") / 2**64 is 0.21580….
	key, is := []byte("c-00000"), 0.215802
	if NewChooser(Canary{bundle(1), is - 0.0001}).Takes(key) || !NewChooser(Canary{bundle(1), is + 0.0001}).Takes(key) {
		t.Error("the share of a key is another than Python's hashlib makes it")
	}
}

func FuzzParseModelEvent(f *testing.F) {
	digest := bundle(1).Digest
	for _, text := range []string{
		`{"bundle":{"name":"m","version":"1","digest":"` + digest + `"},"reason":"r","instance":"a","topic":"in","offsets":{"0":1}}`,
		`{"bundle":{"name":"m","version":"1","digest":"` + digest + `"},"canary":{"bundle":{"name":"m","version":"2","digest":"` + digest + `"},"share":0.1},"reason":"r","instance":"a","topic":"in"}`,
		`{"bundle":{"digest":"x"},"canary":{"share":2},"topic":"in"}`, `{}`, `null`, `{"topic":"in"} x`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := ParseModelEvent(data)
		if err != nil {
			return
		}
		if e.Canary != nil && !(e.Canary.Share > 0 && e.Canary.Share <= MaxCanaryShare) {
			t.Fatalf("a canary has %v of the keys", e.Canary.Share)
		}
		text, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseModelEvent(text)
		if err != nil {
			t.Fatalf("what was written is not read: %v: %s", err, text)
		}
		if second, err := again.Encode(); err != nil || !bytes.Equal(second, text) {
			t.Fatalf("%s is written again as %s, %v", text, second, err)
		}
		line := NewTimeline(e.Topic)
		line.Add(&e)
		for p, from := range e.Offsets {
			if who, ok := line.At(p, from, nil); !ok || who != e.Bundle {
				t.Fatalf("at %d of partition %d decides %v", from, p, who)
			}
		}
	})
}

func TestAnEventThatSaysNothingIsRefused(t *testing.T) {
	for text, says := range map[string]string{
		`{}`: "no bundle", `{"bundle":{"digest":"d"},"topic":"in","more":1}`: "unknown", `{"bundle":{"digest":"d"},"topic":"in"} {}`: "after",
		`{"bundle":{"digest":"d"},"topic":"in","canary":{"bundle":{"digest":"d"},"share":0.1}}`:                      "names no bundle",
		`{"bundle":{"digest":"d"},"topic":"in","canary":{"bundle":{"digest":"` + bundle(1).Digest + `"},"share":0}}`: "share",
	} {
		if _, err := ParseModelEvent([]byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
}
