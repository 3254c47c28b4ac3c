-- The three roles of the audit database. Runs once, as superuser in the database that they share, when the server's data is made: by the
-- Postgres image in docker-compose.yml, and by test/stack/postgres.sh.
--   owner   owns the database; `mlmonitor migrate` makes the tables as this role, and grants
--   audit   writes verdicts
--   reader  reads, nothing else
-- What audit and reader may do with a table is granted by the migration that makes it. The passwords are read from files, so that they
-- stand in no setting, process list or log.
\set ON_ERROR_STOP on
\set owner_password `cat "${SECRETS_DIR:-/run/secrets}/owner_password"`
\set audit_password `cat "${SECRETS_DIR:-/run/secrets}/audit_password"`
\set reader_password `cat "${SECRETS_DIR:-/run/secrets}/reader_password"`

-- A file that is missing or empty would make a role that nobody can log in as; better to fail now.
SELECT :'owner_password' = '' OR :'audit_password' = '' OR :'reader_password' = '' AS password_missing \gset
\if :password_missing
  DO $$ BEGIN RAISE EXCEPTION 'a password file is missing or empty: owner_password, audit_password and reader_password are needed'; END $$;
\endif

-- The statements hold passwords: keep them out of the server's log even if it is set to log all statements.
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
SET log_min_duration_statement = -1;
SET password_encryption = 'scram-sha-256';
CREATE ROLE owner LOGIN PASSWORD :'owner_password';
CREATE ROLE audit LOGIN PASSWORD :'audit_password';
CREATE ROLE reader LOGIN PASSWORD :'reader_password';
RESET log_statement;
RESET log_min_error_statement;
RESET log_min_duration_statement;

-- reader cannot write even where a grant is wrong
ALTER ROLE reader SET default_transaction_read_only = on;

SELECT current_database() AS database \gset
ALTER DATABASE :"database" OWNER TO owner;
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO audit, reader;
