package e2e

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

// TestDoctorSaysWhatIsWrong runs it where all is well, and breaks one thing after the other.
func TestDoctorSaysWhatIsWrong(t *testing.T) {
	s := sharedStack(t)
	db, bare := s.postgres.Database(t), s.postgres.Database(t)
	mustRun(t, []string{"DATABASE_URL=" + db.OwnerURL}, "migrate")
	well := append(s.env[:len(s.env):len(s.env)], "DATABASE_URL="+db.WriterURL, "API_AUTH=off", "API_DATABASE_URL="+db.ReaderURL)
	certificate, key := pemFiles(t, true)
	_, anothers := pemFiles(t, false)
	broken := t.TempDir()
	if err := os.CopyFS(broken, os.DirFS("../../bundles/sample")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(broken, "policy.yaml"), []byte("version: 1\nreview: 0.1\ndecline: 0.2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{"alias champion": true, "alias challenger": true} // these need an MLflow that answers: package registry sees them
	for _, c := range []struct {
		name  string
		env   []string
		fails string // the check that does; "" for none
		says  string
		looks string // another check, which is looked at all the same
	}{
		{"all is well", nil, "", "", "bundle profile"},
		{"no topics", []string{"KAFKA_TOPIC_VERDICTS=" + s.topics.Verdicts + ".not-there"}, "topics", "not-there", "lag"},
		{"no cluster", []string{"KAFKA_BROKERS=127.0.0.1:1"}, "cluster", "127.0.0.1:1", "audit.migrations"},
		{"no migrations", []string{"DATABASE_URL=" + bare.WriterURL}, "audit.migrations", "no tables", "api.migrations"},
		{"a wrong password", []string{"DATABASE_URL=" + strings.Replace(db.WriterURL, "://audit:", "://audit:hunter2", 1)}, "audit.database", "password", "lag"},
		{"the reader's address for the writer", []string{"DATABASE_URL=" + db.ReaderURL}, "audit.rights", "may not write", "lag"},
		{"an expired certificate", []string{"API_TLS_CERT_FILE=" + certificate, "API_TLS_KEY_FILE=" + key}, "certificate API_TLS_CERT_FILE", "has expired", "lag"},
		{"another's key", []string{"API_TLS_CERT_FILE=" + certificate, "API_TLS_KEY_FILE=" + anothers}, "certificate API_TLS_CERT_FILE", "does not match", "lag"},
		{"a bundle that was changed", []string{"BUNDLE_DIR=" + broken}, "bundle", "policy.yaml", "lag"},
		{"MLflow is away", []string{"BUNDLE_DIR=", "MLFLOW_TRACKING_URI=http://127.0.0.1:1", "MODEL_CACHE_DIR=" + t.TempDir()}, "mlflow", "refused", "bundle cache"},
		{"a wrong setting", []string{"AUDIT_BATCH_RECORDS=0"}, "configuration", "AUDIT_BATCH_RECORDS", "audit.database"},
	} {
		env := append(well[:len(well):len(well)], c.env...)
		out, err := run(t, env, "doctor", "--json")
		if (err != nil) != (c.fails != "") {
			t.Errorf("%s: %v", c.name, err)
		}
		var found []kafka.Finding
		if err := json.Unmarshal([]byte(out), &found); err != nil {
			t.Fatalf("%s: %v: %s", c.name, err, out)
		}
		looked := map[string]string{}
		for _, f := range found {
			looked[f.Check], seen[f.Check] = f.Found, true
			if (f.State == kafka.Fail) != (f.Check == c.fails) || f.State == kafka.Skip || f.State != kafka.OK && f.Mend == "" {
				t.Errorf("%s: %+v", c.name, f)
			}
		}
		if _, ok := looked[c.looks]; !ok && c.looks != "" || !strings.Contains(looked[c.fails], c.says) {
			t.Errorf("%s: found %v", c.name, looked)
		}
		text, _ := run(t, env, "doctor", "--verbose")
		if !strings.Contains(text, "cluster") || !strings.Contains(text, "skip") {
			t.Errorf("%s: prints %q", c.name, text)
		}
		for _, address := range []string{db.WriterURL, db.ReaderURL, "//x:hunter2@"} {
			u, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			if secret, _ := u.User.Password(); secret == "" || strings.Contains(out+text, secret) {
				t.Errorf("%s: it shows a password: %s", c.name, out+text)
			}
		}
	}
	// Rights are those of the role whose environment it is.
	scorers := slices.DeleteFunc(slices.Clone(well), func(variable string) bool { return strings.HasPrefix(variable, "API_") })
	for role, env := range map[string][]string{"score": scorers, "api": well} {
		out, err := run(t, env, "doctor", "--json")
		var found []kafka.Finding
		if err := errors.Join(err, json.Unmarshal([]byte(out), &found)); err != nil {
			t.Fatalf("%s: %v: %s", role, err, out)
		}
		for _, other := range []string{"score", "api"} {
			there := slices.ContainsFunc(found, func(f kafka.Finding) bool {
				seen[f.Check] = true
				return f.Check == "rights of "+other && f.State == kafka.OK
			})
			if there != (other == role) {
				t.Errorf("in the environment of %s doctor looks at the rights of %s: %v", role, other, there)
			}
		}
	}
	book, err := os.ReadFile("../../docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	entries := doctorLines.FindAllStringSubmatch(string(book), -1)
	if len(entries) < 20 {
		t.Errorf("only %d entries of the runbook start from doctor", len(entries))
	}
	for _, entry := range entries {
		for i, name := range strings.Split(entry[1], "`") {
			if i%2 == 1 && !seen[name] {
				t.Errorf("the runbook sends to %q, which doctor does not print", name)
			}
		}
	}
}

// doctorLines are the checks that an entry of the runbook names.
var doctorLines = regexp.MustCompile(`\*Doctor:\* (.*?)\. `)

// pemFiles writes a certificate and its key.
func pemFiles(t *testing.T, expired bool) (certificate, key string) {
	t.Helper()
	dir := t.TempDir()
	pair, _ := rig.Certificate(t, dir, expired)
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for name, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, key: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}
