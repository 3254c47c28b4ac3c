package audit

import (
	"strings"
	"testing"

	"github.com/mlmonitor/mlmonitor/kafka"
)

func TestValidateNamesTheVariable(t *testing.T) {
	c := config("postgres://audit:x@localhost/db")
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		set  func(*Config)
	}{
		{"DATABASE_URL_FILE", func(c *Config) { c.DatabaseURL = "" }},
		{"DATABASE_URL", func(c *Config) { c.DatabaseURL = "mysql://x" }},
		{"DATABASE_URL", func(c *Config) { c.DatabaseURL = "sqlite:" }},
		{"DATABASE_URL", func(c *Config) { c.DatabaseURL = "sqlite::memory:" }},
		{"DATABASE_URL", func(c *Config) { c.DatabaseURL = "postgres://localhost/db?sslmode=maybe" }},
		{"AUDIT_GROUP", func(c *Config) { c.Group = "" }},
		{"INSTANCE_ID", func(c *Config) { c.Instance = "a b" }},
		{"AUDIT_BATCH_RECORDS", func(c *Config) { c.BatchRecords = 0 }},
		{"AUDIT_BATCH_BYTES", func(c *Config) { c.BatchBytes = 1 }},
		{"AUDIT_SESSION_TIMEOUT", func(c *Config) { c.Session = 1 }},
		{"AUDIT_READER_ROLE", func(c *Config) { c.ReaderRole = c.WriterRole }},
		{"AUDIT_RETENTION_DAYS", func(c *Config) { c.RetentionDays = -1 }},
		{"AUDIT_PARTITIONS_AHEAD_DAYS", func(c *Config) { c.PartitionsAhead = 0 }},
	} {
		c := config("postgres://audit:x@localhost/db")
		tc.set(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), tc.name) {
			t.Errorf("%+v: the error %v does not name %s", c, err, tc.name)
		}
	}
}

// The library's own messages repeat what they could not read, and a misplaced sign makes the password part of the host or the port.
func TestAPasswordIsNeverInAnError(t *testing.T) {
	for _, url := range []string{
		"postgres://audit:hunter2%zz@localhost/db",
		"postgres://audit:hunter2#x@localhost/db",
		"postgres://audit:x/hunter2@localhost/db",
		"postgres://audit:x@hunter2@localhost:port/db",
		"postgres://audit:[hunter2@localhost/db",
		"postgres://audit@localhost:hunter2/db",
		"postgres://audit:hunter2@localhost/db?sslmode=maybe",
		"postgres://audit:hunter2@localhost/db?sslmode=verify-full&sslrootcert=no-such-file",
		"postgres://audit:hunter2@localhost/db?pool_max_conns=many",
		"postgres://localhost/db?password=hunter2&sslmode=maybe",
		"host=localhost password=hunter2",
		"hunter2",
	} {
		c := config(url)
		_, opened := Open(t.Context(), c)
		_, migrated := Migrate(t.Context(), c)
		_, maintained := Maintain(t.Context(), c, published)
		for _, err := range []error{c.Validate(), opened, migrated, maintained} {
			if err == nil {
				if strings.Contains(url, "#") || strings.Contains(url, "x/") {
					continue // a URL, if not the one that was meant
				}
				t.Errorf("%s: no error", url)
			} else if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the password stands in %q", err)
			}
		}
	}
	if _, err := parseDatabaseURL(kafka.Secret("postgres://audit:hunter2@localhost/db?sslmode=maybe")); !strings.Contains(err.Error(), "sslmode") {
		t.Errorf("the error does not say what is wrong: %v", err)
	}
}
