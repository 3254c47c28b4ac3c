package audit

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// grant gives each role what it needs and takes the rest away. A grant on the partitioned table holds for its partitions when they are reached
// through it, and nobody is to reach them otherwise.
func grant(ctx context.Context, db database, writer, reader string) ([]string, error) {
	conn, err := pgx.ConnectConfig(ctx, db.postgres.ConnConfig)
	if err != nil {
		return nil, explain("grant", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var granted []string
	var statements []string
	for _, role := range []struct {
		name, variable string
		grants         []string
	}{
		{writer, "AUDIT_WRITER_ROLE", []string{"INSERT ON verdicts, audit_rejects", "SELECT, INSERT, UPDATE ON audit_offsets", "SELECT, INSERT ON audit_topics"}},
		{reader, "AUDIT_READER_ROLE", []string{"SELECT ON verdicts, audit_rejects, audit_offsets, audit_topics"}},
	} {
		if role.name == "" {
			continue
		}
		if err := checkRole(ctx, conn, role.name, role.variable); err != nil {
			return nil, err
		}
		name := pgx.Identifier{role.name}.Sanitize()
		statements = append(statements, "REVOKE ALL ON verdicts, audit_rejects, audit_offsets, audit_topics FROM "+name, "GRANT USAGE ON SCHEMA public TO "+name)
		for _, g := range role.grants {
			statements = append(statements, "GRANT "+g+" TO "+name)
		}
		granted = append(granted, role.name)
	}
	// Before PostgreSQL 15 everybody could create tables in the schema.
	statements = append(statements, "REVOKE ALL ON verdicts, audit_rejects, audit_offsets, audit_topics FROM PUBLIC", "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if err := lockMaintenance(ctx, tx); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, strings.Join(statements, "; "))
		return err
	})
	return granted, explain("grant", err)
}

// checkRole: a role is made by whoever rules the server, with a password that is nobody else's business.
func checkRole(ctx context.Context, conn *pgx.Conn, name, variable string) error {
	var owner string
	var exists bool
	if err := conn.QueryRow(ctx, `SELECT current_user, EXISTS (SELECT FROM pg_roles WHERE rolname = $1)`, name).Scan(&owner, &exists); err != nil {
		return explain("look for role "+name, err)
	}
	if !exists {
		return fmt.Errorf("%w: %s: role %q does not exist: have an administrator run CREATE ROLE %s LOGIN PASSWORD '…', or set %s to another role, or empty to grant nothing",
			ErrRefused, variable, name, pgx.Identifier{name}.Sanitize(), variable)
	}
	if owner == name {
		return fmt.Errorf("%w: %s: %q owns the tables, and so may do everything: name another role, or run migrate as the owner", ErrRefused, variable, name)
	}
	return nil
}
