package audit

import (
	"fmt"
	"regexp"
	"time"

	"github.com/mlmonitor/mlmonitor/kafka"
)

// Config says which database is written, how, and how long rows are kept.
type Config struct {
	DatabaseURL kafka.Secret `envconfig:"DATABASE_URL" desc:"postgres://user:password@host:5432/database?sslmode=verify-full, or sqlite:PATH; migrate needs the owner's, audit the writer's"`
	// DatabaseURLNow reads it again, for each connection that is made; nil where it does not change.
	DatabaseURLNow func() (kafka.Secret, error) `ignored:"true"`
	Group          string                       `envconfig:"AUDIT_GROUP" default:"mlmonitor-audit" desc:"consumer group of the audit writers"`
	Instance       string                       `ignored:"true"` // stable name of this process within the group, INSTANCE_ID; empty: a dynamic member

	BatchRecords int           `envconfig:"AUDIT_BATCH_RECORDS" default:"5000" desc:"records written in one database transaction at most"`
	BatchBytes   int           `envconfig:"AUDIT_BATCH_BYTES" default:"8388608" desc:"bytes from which a database transaction takes no more records"`
	Session      time.Duration `envconfig:"AUDIT_SESSION_TIMEOUT" default:"6s" desc:"the group gives a member's partitions away after this silence"`

	WriterRole string `envconfig:"AUDIT_WRITER_ROLE" default:"audit" desc:"Postgres role that migrate lets insert; set empty to grant nothing"`
	ReaderRole string `envconfig:"AUDIT_READER_ROLE" default:"reader" desc:"Postgres role that migrate lets select; set empty to grant nothing"`

	RetentionDays   int `envconfig:"AUDIT_RETENTION_DAYS" default:"0" desc:"migrate drops days older than this; 0 keeps all"`
	PartitionsAhead int `envconfig:"AUDIT_PARTITIONS_AHEAD_DAYS" default:"14" desc:"migrate makes the partitions of this many days ahead"`
}

var groupName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,200}$`)

// Validate names the variable that is wrong and how to mend it.
func (c *Config) Validate() error {
	if _, err := parseDatabaseURL(c.DatabaseURL); err != nil {
		return err
	}
	if err := c.ValidateGroup(); err != nil {
		return err
	}
	if c.Instance != "" && !groupName.MatchString(c.Instance) {
		return fmt.Errorf("INSTANCE_ID is %q: use 1 to 200 letters, digits, '.', '_' or '-'; it must be stable across restarts and differ between processes", c.Instance)
	}
	if c.BatchRecords < 1 || c.BatchRecords > 100_000 {
		return fmt.Errorf("AUDIT_BATCH_RECORDS is %d: set it to 1 … 100000", c.BatchRecords)
	}
	if c.BatchBytes < 1<<16 || c.BatchBytes > 1<<28 {
		return fmt.Errorf("AUDIT_BATCH_BYTES is %d: set it to 65536 … 268435456", c.BatchBytes)
	}
	if c.Session < 3*time.Second || c.Session > 5*time.Minute {
		return fmt.Errorf("AUDIT_SESSION_TIMEOUT is %v: set it to 3s … 5m", c.Session)
	}
	if c.WriterRole != "" && c.WriterRole == c.ReaderRole {
		return fmt.Errorf("AUDIT_WRITER_ROLE and AUDIT_READER_ROLE are both %q: the writer must not read, name two roles", c.WriterRole)
	}
	if c.RetentionDays < 0 || c.RetentionDays > 36_500 {
		return fmt.Errorf("AUDIT_RETENTION_DAYS is %d: set it to 1 … 36500, or 0 to keep all", c.RetentionDays)
	}
	if c.PartitionsAhead < 1 || c.PartitionsAhead > 366 {
		return fmt.Errorf("AUDIT_PARTITIONS_AHEAD_DAYS is %d: set it to 1 … 366", c.PartitionsAhead)
	}
	return nil
}

// ValidateGroup is what Validate says of the group alone, for who asks no database.
func (c *Config) ValidateGroup() error {
	if !groupName.MatchString(c.Group) {
		return fmt.Errorf("AUDIT_GROUP is %q: use 1 to 200 letters, digits, '.', '_' or '-'", c.Group)
	}
	return nil
}
