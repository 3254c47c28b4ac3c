package audit

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mlmonitor/mlmonitor/kafka"
)

// findingsBy gives findings by their check, and sees that each says what to do, and none the password.
func findingsBy(t *testing.T, found []kafka.Finding, secret kafka.Secret) map[string]kafka.Finding {
	t.Helper()
	by := map[string]kafka.Finding{}
	for _, f := range found {
		by[f.Check] = f
		if (f.State == kafka.OK) != (f.Mend == "") {
			t.Errorf("%+v", f)
		}
		if strings.Contains(fmt.Sprint(f), secret.Reveal()) {
			t.Errorf("it shows the address: %+v", f)
		}
	}
	return by
}

func TestAnExaminationOfADatabase(t *testing.T) {
	b := onPostgres(t)
	admin := connect(t, b.postgres.AdminURL)
	exec := func(statement string) {
		t.Helper()
		if _, err := admin.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	writer := func() map[string]kafka.Finding {
		return findingsBy(t, ExamineWriter(t.Context(), b.writer), b.writer.DatabaseURL)
	}
	owner := func() map[string]kafka.Finding {
		return findingsBy(t, ExamineWriter(t.Context(), b.owner), b.owner.DatabaseURL)
	}
	reader := func() map[string]kafka.Finding {
		return findingsBy(t, ExamineReader(t.Context(), "API_DATABASE_URL", kafka.Secret(b.postgres.ReaderURL)), kafka.Secret(b.postgres.ReaderURL))
	}
	expect := func(found map[string]kafka.Finding, check string, state kafka.State, says string) {
		t.Helper()
		if f := found[check]; f.State != state || !strings.Contains(f.Found, says) {
			t.Errorf("%s: %+v, want %s with %q", check, f, state, says)
		}
	}

	expect(writer(), "audit.certificate", kafka.OK, "valid until")
	for _, who := range []map[string]kafka.Finding{writer(), owner(), reader()} {
		if len(who) != 7 {
			t.Errorf("%d checks: %v", len(who), who)
		}
		for _, f := range who {
			if f.State != kafka.OK {
				t.Errorf("a database that is well: %+v", f)
			}
		}
	}
	expect(writer(), "audit.database", kafka.OK, "user audit, TLS")
	expect(writer(), "audit.migrations", kafka.OK, "version 3, this program's")
	expect(owner(), "audit.rights", kafka.OK, "is the owner")

	// A version that is not this program's, as the owner reads it and as others do.
	exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, true); COMMENT ON TABLE verdicts IS 'ML-Monitor audit, version 99'`)
	expect(owner(), "audit.migrations", kafka.Fail, "too new: version 99")
	expect(reader(), "api.migrations", kafka.Fail, "too new: version 99")
	exec(`DELETE FROM goose_db_version WHERE version_id > 1; COMMENT ON TABLE verdicts IS 'ML-Monitor audit, version 1'`)
	expect(owner(), "audit.migrations", kafka.Fail, "too old: version 1")
	expect(writer(), "audit.migrations", kafka.Fail, "too old: version 1")
	exec(`COMMENT ON TABLE verdicts IS NULL`)
	expect(writer(), "audit.migrations", kafka.Warn, "do not say their version")

	// Rights.
	exec(`REVOKE INSERT ON verdicts FROM audit; REVOKE SELECT ON verdicts FROM reader`)
	expect(writer(), "audit.rights", kafka.Fail, "audit may not write")
	expect(reader(), "api.rights", kafka.Fail, "reader may not read")
	exec(`GRANT INSERT ON verdicts TO audit; REVOKE SELECT ON audit_offsets FROM audit`)
	expect(writer(), "audit.rights", kafka.Fail, "audit may not write")
	exec(`GRANT SELECT ON audit_offsets TO audit; GRANT SELECT ON verdicts TO audit; GRANT SELECT ON verdicts TO reader`)
	expect(writer(), "audit.rights", kafka.Warn, "and read them too")
	found := findingsBy(t, ExamineReader(t.Context(), "API_DATABASE_URL", b.owner.DatabaseURL), b.owner.DatabaseURL)
	expect(found, "api.rights", kafka.Warn, "and write them too")

	// Partitions.
	exec(`INSERT INTO verdicts (topic, partition, "offset", published_at, transaction_id, decision, probability, margin, bundle_name, bundle_version, bundle_digest, event_time,
		source_topic, source_partition, source_offset, payload)
		VALUES ('t', 0, 1, now() + interval '30 days', 'x', 'approve', 0, 0, 'm', '1', 'd', now(), 's', 0, 1, '{}')`)
	expect(owner(), "audit.partitions", kafka.Warn, "1 rows in the default partition")
	exec(fmt.Sprintf(`DROP TABLE %s; DROP TABLE %s`, time.Now().UTC().Format(partitionLayout), time.Now().UTC().Add(day).Format(partitionLayout)))
	expect(writer(), "audit.partitions", kafka.Warn, "today has no partition")

	// Nothing there.
	exec(`DROP TABLE verdicts CASCADE`)
	found = writer()
	expect(found, "audit.migrations", kafka.Fail, noTables)
	if len(found) != 3 { // and the certificate
		t.Errorf("the tables are asked though there are none: %v", found)
	}
	wrong := kafka.Secret(strings.Replace(b.postgres.ReaderURL, "://reader:", "://reader:no", 1))
	found = findingsBy(t, ExamineReader(t.Context(), "API_DATABASE_URL", wrong), wrong)
	expect(found, "api.database", kafka.Fail, "API_DATABASE_URL")
	nowhere := kafka.Secret("postgres://audit:hunter2@127.0.0.1:1/x?sslmode=disable")
	expect(findingsBy(t, ExamineReader(t.Context(), "API_DATABASE_URL", nowhere), "hunter2"), "api.database", kafka.Fail, "refused")
}

func TestAnExaminationOfAFile(t *testing.T) {
	b := onSQLite(t)
	for check, f := range findingsBy(t, ExamineWriter(t.Context(), b.writer), "hunter2") {
		if f.State != kafka.OK || check != "audit.database" && check != "audit.migrations" {
			t.Errorf("%+v", f)
		}
	}
	path := filepath.Join(t.TempDir(), "gone.db")
	for _, f := range ExamineWriter(t.Context(), config("sqlite:"+path)) {
		if f.State != kafka.Fail {
			t.Errorf("%+v", f)
		}
	}
	if found, _ := filepath.Glob(path + "*"); len(found) > 0 {
		t.Errorf("the examination made %v", found)
	}
}

func TestClocksConnectionsAndLagAreJudged(t *testing.T) {
	e := examination{"audit", "DATABASE_URL", true, 4}
	written := map[int32]int64{0: 10, 1: 10}
	for _, c := range []struct {
		got  kafka.Finding
		want kafka.State
		says string
	}{
		{judgeClock("c", time.Second, 0), kafka.OK, "1s ahead"},
		{judgeClock("c", -3*time.Second, 0), kafka.Warn, "-3s ahead"},
		{judgeClock("c", -3*time.Second, 2*time.Second), kafka.OK, "-3s"}, // the question took as long
		{judgeClock("c", 2*time.Minute, 0), kafka.Fail, "2m0s"},
		{e.judgeConnections("c", 10, 97, -1, 1), kafka.OK, "10 of 97"},
		{e.judgeConnections("c", 95, 97, -1, 1), kafka.Warn, "95 of 97"},
		{e.judgeConnections("c", 10, 97, 5, 3), kafka.Warn, "3 of the role's 5"},
		{judgePartitions("c", 14, 0), kafka.OK, "14 days ahead"},
		{judgePartitions("c", 1, 0), kafka.Warn, "1 days ahead"},
		{judgePartitions("c", 14, 3), kafka.Warn, "3 rows"},
		{judgeLag("v", map[int32]int64{0: 0, 1: 0}, map[int32]int64{0: 12, 1: 10}, written), kafka.OK, "2 offsets"},
		{judgeLag("v", map[int32]int64{0: 5, 1: 0}, map[int32]int64{0: 12, 1: 10}, nil), kafka.OK, "17 offsets"},
		{judgeLag("v", map[int32]int64{0: 11, 1: 0}, map[int32]int64{0: 12, 1: 10}, written), kafka.Fail, "offsets 10 to 10"},
	} {
		if c.got.State != c.want || !strings.Contains(c.got.Found, c.says) || (c.want == kafka.OK) != (c.got.Mend == "") {
			t.Errorf("%+v, want %s with %q", c.got, c.want, c.says)
		}
	}
}
