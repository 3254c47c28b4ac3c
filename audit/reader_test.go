package audit

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/schemas"
)

// reader opens the bench's database as who may only read.
func (b *bench) reader(t *testing.T) Reader {
	t.Helper()
	url := b.writer.DatabaseURL
	if b.postgres.ReaderURL != "" {
		url = kafka.Secret(b.postgres.ReaderURL)
	}
	r, err := OpenReader(t.Context(), "API_DATABASE_URL", url, nil)
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
		r, err := OpenReader(t.Context(), "API_DATABASE_URL", url, nil)
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
	r, err := OpenReader(t.Context(), "API_DATABASE_URL", b.writer.DatabaseURL, nil) // the writer's
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Ping(t.Context()); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "AUDIT_READER_ROLE") {
		t.Errorf("%v", err)
	}
	if _, err := OpenReader(t.Context(), "API_DATABASE_URL", "mysql://x:hunter2@db", nil); err == nil || !strings.HasPrefix(err.Error(), "API_DATABASE_URL") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
}

// TestTheLatestVerdictsAreFoundPageByPage compares every page, under every condition, with the rows that were written.
func TestTheLatestVerdictsAreFoundPageByPage(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		var all []Found
		rows := map[Place]Row{}
		store := b.open(t)
		for partition := range int32(3) {
			var offsets []int64
			for o := range int64(20) {
				offsets = append(offsets, o)
			}
			batch := stretch(t, partition, 0, offsets...)
			for i := range batch.Rows {
				row := &batch.Rows[i]
				row.PublishedAt = time.UnixMilli(int64(1_700_000_000_000 + i/4*1000)).UTC() // several of one time
				row.Verdict.Decision = []schemas.Decision{schemas.Approve, schemas.Review, schemas.Decline}[i%3]
				row.Verdict.Probability = float64(i%10) / 10
				if i%2 == 0 {
					row.Verdict.Bundle.Digest = "sha256:other"
				}
				f := Found{Payload: row.Payload, Topic: topic, Partition: partition, Offset: row.Offset, PublishedAt: row.PublishedAt}
				all = append(all, f)
				rows[f.Place()] = *row
			}
			appended(t, store, batch)
		}
		slices.SortFunc(all, func(a, b Found) int {
			return cmp.Or(b.PublishedAt.Compare(a.PublishedAt), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
		})
		r := b.reader(t)
		for name, q := range map[string]struct {
			Query
			match func(Row) bool
		}{
			"all":      {Query{}, func(Row) bool { return true }},
			"decision": {Query{Decision: schemas.Decline}, func(row Row) bool { return row.Verdict.Decision == schemas.Decline }},
			"bundle":   {Query{Bundle: "sha256:other"}, func(row Row) bool { return row.Verdict.Bundle.Digest == "sha256:other" }},
			"at least": {Query{MinProbability: 0.7}, func(row Row) bool { return row.Verdict.Probability >= 0.7 }},
			"times": {Query{From: time.UnixMilli(1_700_000_001_000), To: time.UnixMilli(1_700_000_003_000)}, func(row Row) bool {
				return row.PublishedAt.UnixMilli() >= 1_700_000_001_000 && row.PublishedAt.UnixMilli() < 1_700_000_003_000
			}},
			"several": {Query{Decision: schemas.Approve, Bundle: "sha256:other", MinProbability: 0.3}, func(row Row) bool {
				return row.Verdict.Decision == schemas.Approve && row.Verdict.Bundle.Digest == "sha256:other" && row.Verdict.Probability >= 0.3
			}},
			"nothing": {Query{Bundle: "' OR 1=1 --"}, func(Row) bool { return false }},
			"garbage": {Query{Bundle: "\xff\x00"}, func(Row) bool { return false }},
		} {
			var want, got []Found
			for _, f := range all {
				if q.match(rows[f.Place()]) {
					want = append(want, f)
				}
			}
			for q.Limit = 7; ; {
				page, err := r.Search(t.Context(), q.Query)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				got = append(got, page...)
				if len(page) < q.Limit {
					break
				}
				after := page[len(page)-1].Place()
				q.After = &after
			}
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	})
}

// TestAPageOfVerdictsIsReadFromTheIndex: of a table of any size, the latest are read without sorting it.
func TestAPageOfVerdictsIsReadFromTheIndex(t *testing.T) {
	b := onPostgres(t)
	r, err := OpenReader(t.Context(), "API_DATABASE_URL", b.owner.DatabaseURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	q := Query{Limit: 50, After: &Place{PublishedAt: time.Now(), Topic: topic}}
	var args []any
	rest := q.clauses(func(v any) string { args = append(args, v); return fmt.Sprintf("$%d", len(args)) }, func(t time.Time) any { return t })
	conn, err := r.(*postgresReader).pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	// A table without rows would be read whole: as if it had many.
	if _, err := conn.Exec(t.Context(), "SET enable_seqscan = off; SET enable_bitmapscan = off"); err != nil {
		t.Fatal(err)
	}
	rows, err := conn.Query(t.Context(), "EXPLAIN SELECT payload FROM verdicts"+rest, args...)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	plan := strings.Join(lines, "\n")
	if err != nil || !strings.Contains(plan, "Incremental Sort") || !strings.Contains(plan, "Index Scan Backward") || strings.Contains(plan, "Seq Scan") {
		t.Errorf("%v\n%s", err, plan)
	}
}

// TestAVerdictIsFoundByTheIndexOfItsId, also in a partition that is full and was never analysed, as that of every new day: the order that is asked for must not lead to another index.
func TestAVerdictIsFoundByTheIndexOfItsId(t *testing.T) {
	b := onPostgres(t)
	owner, err := pgx.Connect(t.Context(), b.owner.DatabaseURL.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(t.Context())
	if _, err := owner.Exec(t.Context(), `INSERT INTO verdicts (topic, partition, "offset", published_at, transaction_id, decision, probability, margin, bundle_name, bundle_version, bundle_digest, event_time, source_topic, source_partition, source_offset, payload)
		SELECT 'out', 0, n, now(), 'tx-' || n, 'approve', 0, 0, 'b', '1', 'd', now(), 'in', 0, n, ('"' || repeat('x', 400) || '"')::json FROM generate_series(1, 100000) n`); err != nil {
		t.Fatal(err)
	}
	r, err := OpenReader(t.Context(), "API_DATABASE_URL", b.owner.DatabaseURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	conn, err := r.(*postgresReader).pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for range 8 { // after five the server may take a plan for any id
		rows, err := conn.Query(t.Context(), "EXPLAIN SELECT payload::text, topic, partition, \"offset\", published_at FROM verdicts"+byID, "nobody", 20)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		plan := strings.Join(lines, "\n")
		if err != nil || strings.Contains(plan, "published_at_idx") || !strings.Contains(plan, "transaction_id_idx") {
			t.Fatalf("%v\n%s", err, plan)
		}
	}
	if found, err := r.Find(t.Context(), "tx-777", 5); err != nil || len(found) != 1 || found[0].Offset != 777 {
		t.Errorf("%v, %v", found, err)
	}
}
