package audit

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

// explain says what was being done, and marks with ErrRefused, and with the remedy, what waiting does not mend.
func explain(doing string, err error) error {
	if err == nil || errors.Is(err, ErrFenced) {
		return err
	}
	if why := refusal(err); why != "" {
		return fmt.Errorf("%w: %s: %s: %w", ErrRefused, doing, why, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// refusal is the remedy, or "" when the error may pass. Codes: PostgreSQL manual, appendix A.
func refusal(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case "28P01", "28000": // invalid_password, invalid_authorization_specification
			return "check user, password and sslmode in DATABASE_URL, and the server's pg_hba.conf"
		case "3D000": // invalid_catalog_name
			return "the database does not exist, check DATABASE_URL"
		case "42P01", "42703": // undefined_table, undefined_column
			return "the tables are missing or old, run `mlmonitor migrate` with the owner's DATABASE_URL"
		case "42501": // insufficient_privilege
			return "the user lacks a grant, run `mlmonitor migrate` with the owner's DATABASE_URL and this user as AUDIT_WRITER_ROLE"
		}
		return ""
	}
	var verify *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &host):
		return "the server's certificate is for another host, check DATABASE_URL"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the server's certificate has expired or is not valid yet, renew it, or set this machine's clock"
	case errors.As(err, &verify), errors.As(err, &unknown):
		return "the server's certificate is not trusted, check sslrootcert in DATABASE_URL"
	case errors.As(err, &record):
		return "what answers is no PostgreSQL with TLS, check host, port and sslmode in DATABASE_URL"
	}
	return ""
}
