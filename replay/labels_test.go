package replay

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func readText(t *testing.T, name, text string) *Labels {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := ReadLabels(path)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLabelsThatRepeatContradictAndComeLater(t *testing.T) {
	const csv = `transaction_id,label,labelled_at
a,0,2026-01-10T00:00:00Z
a,0,2026-01-10T00:00:00Z
b,1,2026-01-10T00:00:00Z
c,0,2026-01-10T00:00:00Z
c,1,2026-02-01T00:00:00Z
d,1,2026-02-01T00:00:00Z
d,0,2026-01-10T00:00:00Z
e,0,2026-01-10T00:00:00Z
e,1,2026-01-10T00:00:00Z
f,yes,2026-01-10T00:00:00Z
g,1,yesterday
,1,2026-01-10T00:00:00Z
h,1
i,0,
unknown,1,2026-01-11T00:00:00Z
`
	const lines = `{"transaction_id":"a","label":0,"labelled_at":"2026-01-10T00:00:00Z"}
{"transaction_id":"a","label":false,"labelled_at":"2026-01-10T00:00:00Z"}
{"transaction_id":"b","label":1,"labelled_at":"2026-01-10T00:00:00Z"}
{"transaction_id":"c","label":0,"labelled_at":"2026-01-10T00:00:00Z"}
{"transaction_id":"c","label":true,"labelled_at":"2026-02-01T00:00:00Z"}
{"transaction_id":"d","label":1,"labelled_at":"2026-02-01T00:00:00Z"}
{"transaction_id":"d","label":0,"labelled_at":"2026-01-10T00:00:00Z"}
{"transaction_id":"e","label":0,"labelled_at":"2026-01-10T00:00:00Z"}
{"transaction_id":"e","label":1,"labelled_at":"2026-01-10T00:00:00Z"}
{"transaction_id":"f","label":"1"}
{"transaction_id":"g","label":1,"labelled_at":"yesterday"}
{"label":1}
{"transaction_id":"h","label":1
{"transaction_id":"i","label":0}
{"transaction_id":"unknown","label":1,"labelled_at":"2026-01-11T00:00:00Z"}
`
	for name, text := range map[string]string{"labels.csv": csv, "labels.jsonl": lines} {
		l := readText(t, name, text)
		want := LabelCounts{Read: 15, Malformed: 4, Duplicates: 1, Conflicting: 1, Corrected: 2}
		if l.Counts != want {
			t.Errorf("%s: %+v, want %+v", name, l.Counts, want)
		}
		if !l.Newest.Equal(time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%s: the newest is of %v", name, l.Newest)
		}
		for id, is := range map[string]label{"a": honest, "b": fraud, "c": fraud, "d": fraud, "e": contradictory, "f": 0, "g": 0, "i": honest, "nobody": 0} {
			if got := l.of([]byte(id)); got != is {
				t.Errorf("%s: %s is %d, want %d", name, id, got, is)
			}
		}
		if n := l.unknown(); n != 1 {
			t.Errorf("%s: %d labels are of nobody", name, n)
		}
	}
}

func TestKindsOfFraudAreLabels(t *testing.T) {
	l := readText(t, "labels.csv", "transaction_id,fraud_kind\na,\nb,stolen_card\n")
	if l.of([]byte("a")) != honest || l.of([]byte("b")) != fraud || !l.Newest.IsZero() {
		t.Errorf("%+v", l)
	}
}

func TestAFileThatHasNoLabelsIsRefused(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a.csv": "id,y\n1,2\n", "b.csv": "", "c.csv.gz": "not packed"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadLabels(path); err == nil {
			t.Errorf("%s is read", name)
		}
	}
	if _, err := ReadLabels(filepath.Join(dir, "a.csv")); !strings.Contains(err.Error(), "the header is id,y") {
		t.Error(err)
	}
}

func FuzzLabels(f *testing.F) {
	f.Add("transaction_id,label\na,1\n")
	f.Add("transaction_id,fraud_kind,labelled_at\na,x,2026-01-01T00:00:00Z\n\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		l := &Labels{byID: map[uint64]known{}}
		if err := l.csv(strings.NewReader(text)); err != nil {
			return
		}
		c := l.Counts
		if c.Malformed > c.Read || c.Conflicting < 0 || int64(len(l.byID)) > c.Read-c.Malformed {
			t.Fatalf("%+v of %d", c, len(l.byID))
		}
		for _, one := range l.sealed().byID {
			if one.label < honest || one.label > contradictory || int(one.place) >= len(l.byID) {
				t.Fatalf("%+v of %d", one, len(l.byID))
			}
		}
	})
}
