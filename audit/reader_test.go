package audit

import (
	"errors"
	"strings"
	"testing"

	"github.com/mlmonitor/mlmonitor/kafka"
)

// reader opens the bench's database as who may only read.
func (b *bench) reader(t *testing.T) Reader {
	t.Helper()
	url := b.writer.DatabaseURL
	if b.postgres.ReaderURL != "" {
		url = kafka.Secret(b.postgres.ReaderURL)
	}
	r, err := OpenReader(t.Context(), "API_DATABASE_URL", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func TestAVerdictIsFoundByItsTransaction(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		batch := stretch(t, 4, 0, 17, 18, 19)
		appended(t, b.open(t), batch)
		r := b.reader(t)
		if err := r.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, row := range batch.Rows {
			found, err := r.Find(t.Context(), string(row.Verdict.TransactionID), 10)
			at := -1
			for i, f := range found {
				if f.Offset == row.Offset {
					at = i
				}
			}
			if err != nil || at < 0 || string(found[at].Payload) != string(row.Payload) || found[at].Partition != 4 || found[at].Topic != topic || !found[at].PublishedAt.Equal(row.PublishedAt) {
				t.Errorf("%s: %+v, %v", row.Verdict.TransactionID, found, err)
			}
		}
		for _, id := range []string{"nobody", "", "\x00", "' OR 1=1 --", strings.Repeat("x", 5000), "\xff"} {
			if found, err := r.Find(t.Context(), id, 10); len(found) != 0 || err != nil && id != "\xff" {
				t.Errorf("%.20q: %v, %v", id, found, err)
			}
		}
		if found, err := r.Find(t.Context(), string(batch.Rows[0].Verdict.TransactionID), 0); err != nil || len(found) != 0 {
			t.Errorf("with a limit of none: %v, %v", found, err)
		}
	})
}

// TestAReaderWritesNothing: not by grants alone, its sessions are read-only.
func TestAReaderWritesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		url := b.owner.DatabaseURL // who may do all
		r, err := OpenReader(t.Context(), "API_DATABASE_URL", url)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		const statement = "DELETE FROM verdicts"
		switch r := r.(type) {
		case *postgresReader:
			_, err = r.pool.Exec(t.Context(), statement)
		case *sqliteReader:
			_, err = r.db.ExecContext(t.Context(), statement)
		}
		if err == nil {
			t.Error("a reader deletes")
		}
	})
}

func TestAReaderWithoutRightsIsTold(t *testing.T) {
	b := onPostgres(t)
	r, err := OpenReader(t.Context(), "API_DATABASE_URL", b.writer.DatabaseURL) // the writer's
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Ping(t.Context()); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "AUDIT_READER_ROLE") {
		t.Errorf("%v", err)
	}
	if _, err := OpenReader(t.Context(), "API_DATABASE_URL", "mysql://x:hunter2@db"); err == nil || !strings.HasPrefix(err.Error(), "API_DATABASE_URL") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
}
